import CLibpq
import Dispatch
import Glibc
import Synchronization

/// One thread that waits for the sockets of all connections at once (epoll) and is the only one to call libpq on them.
///
/// Swift's cooperative threads never wait in libpq: they hand work to this thread and are resumed from it. Everything
/// marked "on the reactor" runs here, one thing after the other, and so needs no lock.
final class Reactor: Sendable {
    /// The reactor of this process.
    static let shared = Reactor()

    /// Something with a file descriptor.
    protocol Pollable: AnyObject {
        /// Called on the reactor when the descriptor can be read or written, or has failed.
        func socketIsReady(readable: Bool, writable: Bool)
    }

    private struct Inbox {
        var work: [@Sendable () -> Void] = []
        /// The thread is in `epoll_wait` and has to be woken for new work.
        var isAsleep = false
    }

    private let epoll: Int32
    private let wakeUp: Int32
    private let inbox = Mutex(Inbox())
    private let state = State()

    /// What only the reactor's thread touches.
    private final class State: @unchecked Sendable {
        var pollables: [UInt64: any Pollable] = [:]
        var nextKey: UInt64 = 1
        var timers: [Timer] = []
        var nextTimer: UInt64 = 0
    }

    private struct Timer {
        let id: UInt64
        let at: UInt64
        let fire: () -> Void
    }

    private init() {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(epoll >= 0 && wakeUp >= 0, "epoll and eventfd are needed")
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: 0))
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeUp, &event)
        let thread = DispatchQueue(label: "attune.postgres.reactor", qos: .userInitiated)
        thread.async { [self] in run() }
    }

    /// Runs `work` on the reactor, in the order of submission. Callable from anywhere.
    func submit(_ work: @escaping @Sendable () -> Void) {
        let mustWake = inbox.withLock { inbox in
            inbox.work.append(work)
            defer { inbox.isAsleep = false }
            return inbox.isAsleep
        }
        if mustWake {
            var one: UInt64 = 1
            _ = write(wakeUp, &one, 8)
        }
    }

    /// Runs `body` on the reactor and returns what it returns.
    func perform<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            submit { continuation.resume(returning: body()) }
        }
    }

    // MARK: On the reactor

    /// Watches a descriptor until `unwatch`; returns its key.
    func watch(_ descriptor: Int32, _ pollable: any Pollable) -> UInt64 {
        let key = state.nextKey
        state.nextKey += 1
        state.pollables[key] = pollable
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: key))
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
        return key
    }

    func setInterest(_ descriptor: Int32, key: UInt64, readable: Bool, writable: Bool) {
        let events = (readable ? EPOLLIN.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
        var event = epoll_event(events: events, data: epoll_data(u64: key))
        epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event)
    }

    func unwatch(_ descriptor: Int32, key: UInt64) {
        state.pollables[key] = nil
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// Calls `fire` on the reactor after `delay`.
    func after(_ delay: Duration, _ fire: @escaping () -> Void) {
        state.nextTimer += 1
        state.timers.append(Timer(id: state.nextTimer, at: Self.now + delay.nanoseconds, fire: fire))
    }

    /// Monotonic nanoseconds.
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        // The work of a turn is freed at the end of `turn`. In the body of an endless loop the compiler may leave that out.
        while true { turn(&events) }
    }

    private func turn(_ events: inout [epoll_event]) {
        var work: [@Sendable () -> Void] = []
        inbox.withLock { inbox in
            swap(&work, &inbox.work)
            inbox.isAsleep = work.isEmpty
        }
        for item in work { item() }
        fireTimers()
        let count = epoll_wait(epoll, &events, Int32(events.count), work.isEmpty ? millisecondsToNextTimer() : 0)
        if work.isEmpty { inbox.withLock { $0.isAsleep = false } }
        for index in 0..<Int(max(0, count)) {
            let event = events[index]
            if event.data.u64 == 0 {
                var value: UInt64 = 0
                _ = read(wakeUp, &value, 8)
            } else if let pollable = state.pollables[event.data.u64] {
                let failed = event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
                pollable.socketIsReady(
                    readable: failed || event.events & EPOLLIN.rawValue != 0, writable: event.events & EPOLLOUT.rawValue != 0)
            }
        }
    }

    private func fireTimers() {
        guard !state.timers.isEmpty else { return }
        let now = Self.now
        let due = state.timers.filter { $0.at <= now }
        guard !due.isEmpty else { return }
        state.timers.removeAll { $0.at <= now }
        for timer in due.sorted(by: { ($0.at, $0.id) < ($1.at, $1.id) }) { timer.fire() }
    }

    private func millisecondsToNextTimer() -> Int32 {
        guard let next = state.timers.min(by: { $0.at < $1.at }) else { return -1 }
        let now = Self.now
        return next.at <= now ? 0 : Int32(min((next.at - now) / 1_000_000 + 1, 60_000))
    }
}

extension Duration {
    /// Whole nanoseconds, never negative.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
