import NIOCore
import Synchronization

/// The socket on which a worker accepts connections, and how to close it without breaking any.
final class ListeningSocket: Sendable {
    private let channel = Mutex<(any Channel)?>(nil)

    func isOpen(_ channel: any Channel) { self.channel.withLock { $0 = channel } }

    /// Lets no new connection begin, and returns when those that had begun have been accepted.
    ///
    /// The kernel finishes handshakes by itself. A connection that is complete and not accepted when its listening socket is
    /// closed gets a reset; its client may have sent a request by then, and a proxy does not repeat that. So a filter on the
    /// socket first drops what begins a connection (SYN). A client that meets it tries again a second later, is refused, and
    /// goes to another worker.
    func stopAdmitting() async {
        guard let channel = channel.withLock({ $0 }), let options = channel as? any SocketOptionProvider else { return }
        let program = UnsafeMutablePointer<FilterStep>.allocate(capacity: Self.dropsSYN.count)
        program.initialize(from: Self.dropsSYN, count: Self.dropsSYN.count)
        defer { program.deallocate() }
        // SO_ATTACH_FILTER. Where it is not allowed, the risk remains.
        try? await options.unsafeSetSocketOption(
            level: .socket, name: .init(rawValue: 26), value: Filter(count: UInt16(Self.dropsSYN.count), steps: program)
        ).get()
        // Handshakes that are under way, and the event loop's next turns.
        try? await Task.sleep(for: .milliseconds(20))
    }

    /// Berkeley packet filter: bit SYN, in byte 13 of the TCP header, decides.
    private static let dropsSYN = [
        // Load the byte.
        FilterStep(code: 0x30, ifTrue: 0, ifFalse: 0, operand: 13),
        // Go on with the next step if the bit is set, or else with the one behind it.
        FilterStep(code: 0x45, ifTrue: 0, ifFalse: 1, operand: 0x02),
        // Keep nothing of the packet.
        FilterStep(code: 0x06, ifTrue: 0, ifFalse: 0, operand: 0),
        // Keep all.
        FilterStep(code: 0x06, ifTrue: 0, ifFalse: 0, operand: .max),
    ]
}

/// Linux's `struct sock_filter`.
private struct FilterStep {
    let code: UInt16
    let ifTrue: UInt8
    let ifFalse: UInt8
    let operand: UInt32
}

/// Linux's `struct sock_fprog`.
private struct Filter: @unchecked Sendable {
    // Unchecked: the steps are not changed any more.
    let count: UInt16
    let steps: UnsafeMutablePointer<FilterStep>
}
