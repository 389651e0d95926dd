import Domain
import Hummingbird
import NIOCore

/// What a route knows of a request beside the request itself.
struct APIRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The peer of the connection: a proxy, or the client itself.
    let peerAddress: IPAddress?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peerAddress = source.channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }
    }
}

/// Where requests come from, seen through the proxies that are trusted.
public struct ClientAddressResolver: Sendable {
    private let trustedProxies: [IPRange]

    /// - Parameter trustedProxies: peers whose `X-Forwarded-For` is believed.
    public init(trustedProxies: [IPRange]) {
        self.trustedProxies = trustedProxies
    }

    /// The last address of the chain that no trusted proxy vouches for; what stands before it, the client may have made up.
    func clientAddress(peer: IPAddress?, forwardedFor: [String]) -> IPAddress {
        var address = peer ?? Self.unknown
        // Mostly there is nothing to look at.
        guard isTrusted(address), !forwardedFor.isEmpty else { return address }
        let chain = forwardedFor.flatMap { $0.split(separator: ",") }.map { $0.trimmingBlanks() }
        for hop in chain.reversed() {
            guard isTrusted(address), let next = IPAddress(hop) else { break }
            address = next
        }
        return address
    }

    private func isTrusted(_ address: IPAddress) -> Bool { trustedProxies.contains { $0.contains(address) } }

    /// For connections that have no address: they all count as one.
    private static let unknown = IPAddress("0.0.0.0")!
}
