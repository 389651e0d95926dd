import Foundation

/// One HTTP request to a daemon that we have started: enough for its health page and a few calls.
public struct LocalRequest: Sendable {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        // What listens on all addresses also listens on the loopback one.
        self.host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        self.port = port
    }

    /// Waits until `GET /health/ready` is answered with 200. Throws `CancellationError`.
    public func waitUntilReady() async throws {
        while (try? await send("GET", "/health/ready"))?.status != 200 {
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Sends a request and reads the answer to its end; waits five seconds at most for each piece of it.
    ///
    /// - Parameter headers: besides `Host`, `Connection` and `Content-Length`.
    public func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: [UInt8] = []
    ) async throws -> (status: Int, body: [UInt8]) {
        var head = "\(method) \(path) HTTP/1.0\r\nHost: \(host):\(port)\r\nConnection: close\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        let request = Array((head + "\r\n").utf8) + body
        let answer: Result<[UInt8], any Error> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: Result { try exchange(request) }) }
        }
        return try Self.parse(answer.get())
    }

    private func exchange(_ request: [UInt8]) throws -> [UInt8] {
        let descriptor = try LocalPort.withAddress(host: host, port: port) { address in
            let descriptor = socket(address.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw SystemError("open a socket") }
            guard connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 else {
                let error = SystemError("connect to \(host) port \(port)")
                close(descriptor)
                throw error
            }
            return descriptor
        }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw SystemError("send")
        }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count >= 0 else { throw SystemError("receive") }
            if count == 0 { return answer }
            answer += piece[..<count]
        }
    }

    /// Splits an answer that ends with its connection. HTTP/1.0 has no chunks.
    private static func parse(_ answer: [UInt8]) throws -> (status: Int, body: [UInt8]) {
        guard let end = answer.firstRange(of: Array("\r\n\r\n".utf8)), answer.count > 12,
            let status = Int(String(decoding: answer[9..<12], as: UTF8.self))
        else { throw DevelopmentError("the answer is not HTTP") }
        return (status, Array(answer[end.upperBound...]))
    }
}
