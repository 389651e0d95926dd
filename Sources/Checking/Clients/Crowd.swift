import Domain
import Foundation
import NIOCore

/// All the clients.
final class Crowd: @unchecked Sendable {
    // Unchecked: touched on the loop only, where `on` brings what others ask.

    private let world: World
    private let clients: [SimulatedClient]
    private var random: SplitMix64
    private var stopsActing = false

    init(world: World, count: Int, random: SplitMix64) {
        self.world = world
        self.random = random.fork("crowd")
        // One in five is not JavaScript's.
        clients = (0..<count).map { index in
            SimulatedClient(index % 5 == 4 ? .python : .javaScript, index: index, world: world, random: random.fork("client", index))
        }
    }

    private func on<Value: Sendable>(_ body: @escaping @Sendable (Crowd) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            world.loop.execute { continuation.resume(returning: body(self)) }
        }
    }

    /// Some sign-ins for each account, which clients share: the tabs of one browser.
    func signInAll() async {
        let accounts = await on { $0.world.livingAccounts }
        let api = API(port: world.port)
        var signIns: [World.SignIn] = []
        for account in accounts + accounts {
            if let signIn = await api.signIn(account) { signIns.append(signIn) }
        }
        let made = signIns
        await on { crowd in
            for client in crowd.clients where crowd.random.chance(0.92) { client.signIn = crowd.random.pick(made) }
        }
    }

    func start() {
        world.loop.execute { [self] in
            for client in clients {
                client.subscribeToBegin()
                client.start()
            }
            act()
        }
    }

    /// One client does one thing, and then comes the next.
    private func act() {
        guard !stopsActing, !world.isQuiet else { return }
        random.pick(clients)?.actAtRandom()
        let pause = -log(Double.random(in: 0.0001..<1, using: &random)) / world.pace
        world.loop.scheduleTask(in: .nanoseconds(Int64(min(1, pause) * 1e9))) { [weak self] in self?.act() }
    }

    func stop() {
        world.loop.execute { [self] in
            stopsActing = true
            for client in clients { client.stop() }
        }
    }

    func becomeQuiet() async {
        await on { crowd in
            crowd.world.isQuiet = true
            for client in crowd.clients { client.stopImpairment() }
        }
    }

    /// Calls `body` with some clients that are connected.
    func withSome(_ count: Int, _ random: SplitMix64, _ body: @escaping @Sendable (SimulatedClient) -> Void) async {
        await on { crowd in
            var random = random
            for client in crowd.clients.filter(\.isOpen).shuffled(using: &random).prefix(count) { body(client) }
        }
    }

    /// Clients whose connection has been open and unimpaired for at least `duration`, and its number.
    func listeners(since duration: Duration) async -> [String: Int] {
        await on { crowd in
            let listening = crowd.clients.filter { $0.hasListened(for: duration) }
            return Dictionary(uniqueKeysWithValues: listening.map { ($0.name.name, $0.connectionCount) })
        }
    }

    /// Whether every client is connected, holds a result of each query, and has no mutation under way.
    var isComplete: Bool {
        get async { await on { $0.clients.allSatisfy(\.isComplete) } }
    }

    func findIncomplete() async {
        await on { crowd in
            for client in crowd.clients where !client.isComplete {
                client.find("never came to the end: \(client.whatIsMissing)", "none")
            }
        }
    }

    /// Finds what somebody has waited for much too long, on a connection that works.
    func findForgotten(after duration: Duration) async {
        await on { crowd in for client in crowd.clients { client.findForgotten(after: duration) } }
    }
}
