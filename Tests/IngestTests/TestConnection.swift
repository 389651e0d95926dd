import Dispatch
import Foundation
import Synchronization

/// A TCP connection on which a test says exactly what it wants.
final class TestConnection: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "test.connection")
    private let received = Mutex<[UInt8]>([])

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(descriptor)
            throw Failure("connect: \(String(cString: strerror(errno)))")
        }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Sends all of it. What the other side no longer wants is no error: its answer counts.
    func send(_ bytes: some Sequence<UInt8> & Sendable) async {
        await onQueue {
            let bytes = Array(bytes)
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                sent += count
            }
        }
    }

    func send(_ text: String) async { await send(Array(text.utf8)) }

    /// Ends our side of the conversation.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends it with a reset, as a sender that dies.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Waits until the other side has ended it, and passes over what it still says.
    func waitForEnd() async throws {
        while try await receive() {}
    }

    /// The next answer. Throws when the connection ends before.
    func answer() async throws -> Answer {
        while true {
            if let answer = received.withLock({ Answer(takenFrom: &$0) }) { return answer }
            guard try await receive() else { throw Failure("the connection has ended without an answer") }
        }
    }

    /// The next answer if all of it is there already.
    func answerSoFar() -> Answer? {
        var piece = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
        if count > 0 { received.withLock { $0 += piece[..<count] } }
        return received.withLock { Answer(takenFrom: &$0) }
    }

    /// - Returns: false at the end.
    private func receive() async throws -> Bool {
        let piece: [UInt8]? = await onQueue {
            var piece = [UInt8](repeating: 0, count: 65536)
            let count = recv(self.descriptor, &piece, piece.count, 0)
            if count < 0 { return errno == ECONNRESET ? [] : nil }
            return Array(piece[..<count])
        }
        guard let piece else { throw Failure("nothing came for a minute") }
        received.withLock { $0 += piece }
        return !piece.isEmpty
    }

    private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
    }
}

/// An HTTP answer.
struct Answer: Sendable {
    let status: Int
    /// By their names in lower case.
    let headers: [String: String]
    let body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    /// Nil while there is no whole one.
    init?(takenFrom bytes: inout [UInt8]) {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        guard bytes.count >= end.upperBound + length else { return nil }
        status = Int(lines[0].split(separator: " ")[1]) ?? 0
        self.headers = headers
        body = Array(bytes[end.upperBound..<end.upperBound + length])
        bytes.removeSubrange(..<(end.upperBound + length))
    }
}
