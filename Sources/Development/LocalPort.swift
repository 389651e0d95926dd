import Foundation

/// TCP ports of this machine.
public enum LocalPort {
    /// A port of 127.0.0.1 on which nobody listens.
    public static func findFree() throws -> Int {
        let descriptor = try listen(host: "127.0.0.1", port: 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard code == 0 else { throw SystemError("find a free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Throws, with the system's reason, when a server could not listen there now: the port is taken, the address is not
    /// this machine's, the port needs root.
    public static func check(host: String, port: Int) throws {
        close(try listen(host: host, port: port))
    }

    private static func listen(host: String, port: Int) throws -> Int32 {
        try withAddress(host: host, port: port) { address in
            let descriptor = socket(address.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw SystemError("open a socket") }
            // As servers do: connections that have just ended do not keep the port.
            var yes: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
            guard bind(descriptor, address.ai_addr, address.ai_addrlen) == 0, Glibc.listen(descriptor, 1) == 0 else {
                let error = SystemError("listen on \(host) port \(port)")
                close(descriptor)
                throw error
            }
            return descriptor
        }
    }

    /// Calls `body` with the host's first address, valid during the call.
    static func withAddress<Value>(host: String, port: Int, _ body: (addrinfo) throws -> Value) throws -> Value {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0, let address = found else {
            throw SystemError("find the address of '\(host)'", reason: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(found) }
        return try body(address.pointee)
    }
}
