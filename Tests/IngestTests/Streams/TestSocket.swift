import Foundation
import TestSupport

/// A client's socket. Nothing here blocks a thread.
final class TestSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    static func connect(port: Int) throws -> TestSocket {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return try connect(AF_INET, SOCK_STREAM, &address)
    }

    static func connectUDP(port: Int) throws -> TestSocket {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        return try connect(AF_INET, SOCK_DGRAM, &address)
    }

    static func connect(path: String) throws -> TestSocket {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return try connect(AF_UNIX, SOCK_STREAM, &address)
    }

    private static func connect<Address>(_ family: Int32, _ kind: __socket_type, _ address: inout Address) throws -> TestSocket {
        let socket = TestSocket(socket(family, Int32(kind.rawValue), 0))
        let result = withUnsafeMutableBytes(of: &address) { bytes in
            Glibc.connect(
                socket.descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<Address>.size))
        }
        guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
        return socket
    }

    /// Sends as much as is taken at once.
    ///
    /// - Returns: how many bytes; nil if the other side has closed.
    func sendNow(_ bytes: some Collection<UInt8>) -> Int? {
        let bytes = Array(bytes)
        let count = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return count }
        return errno == EAGAIN ? 0 : nil
    }

    /// Sends all.
    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let count = sendNow(rest.prefix(1 << 20)) else { throw POSIXError(.EPIPE) }
            rest = rest.dropFirst(count)
            if count == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    /// Says that nothing more will be sent.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// What has come so far; nil: the other side has closed.
    func receiveNow() -> String? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count > 0 { return String(decoding: bytes[..<count], as: UTF8.self) }
        return count < 0 && errno == EAGAIN ? "" : nil
    }

    /// All that comes until the other side closes.
    func receiveAll() async throws -> String {
        var text = ""
        try await eventually("the other side closes") {
            while let part = receiveNow() {
                if part.isEmpty { return false }
                text += part
            }
            return true
        }
        return text
    }

    /// Waits until so many entries are acknowledged.
    func waitUntilAcknowledged(_ count: Int) async throws {
        var text = ""
        try await eventually("\(count) entries are acknowledged") {
            text += receiveNow() ?? ""
            return text.contains("{\"accepted\":\(count)}\n")
        }
    }
}
