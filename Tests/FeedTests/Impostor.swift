import Domain
import Foundation
import NIOCore
import Synchronization

@testable import Feed

/// What a process that has the lock says to everyone who comes.
enum ImpostorSays: String, CaseIterable, Sendable {
    /// As one that was stopped before they came.
    case nothing
    case greetingOnly
    /// As one that is stopped later.
    case connectedOnly
    case otherVersion
    case nonsense
    case connectedThenNonsense

    func bytes(_ origin: FeedOrigin) -> [UInt8] {
        var buffer = ByteBuffer()
        let nonsense: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 2, 3]
        switch self {
        case .nothing: break
        case .greetingOnly: buffer.writeRelayFrame(.greeting(of: origin))
        case .connectedOnly:
            buffer.writeRelayFrame(.greeting(of: origin))
            buffer.writeRelayFrame(.connected(upTo: .zero))
        case .otherVersion: buffer.writeRelayFrame(.greeting("attune feed 0"))
        case .nonsense: buffer.writeBytes(nonsense)
        case .connectedThenNonsense:
            buffer.writeRelayFrame(.greeting(of: origin))
            buffer.writeRelayFrame(.connected(upTo: .zero))
            buffer.writeBytes(nonsense)
        }
        return Array(buffer.readableBytesView)
    }
}

/// A process that has the lock and is no holder as it should be.
final class Impostor: Sendable {
    private let socket: UnixSocket
    private let lock: Mutex<RelayPlace.Lock?>

    struct LockIsTaken: Error {}

    init(at place: RelayPlace, _ bytes: [UInt8]) throws {
        guard let lock = try place.takeLock() else { throw LockIsTaken() }
        self.lock = Mutex(lock)
        socket = try UnixSocket.listen(on: place.socketPath)
        Thread { [socket] in
            // Those who come keep their connection until the end.
            var guests: [UnixSocket] = []
            while let guest = socket.accept() {
                guest.write(bytes)
                guests.append(guest)
            }
        }.start()
    }

    /// Hangs up and releases the lock.
    func leave() {
        socket.shutDown()
        lock.withLock { $0 = nil }
    }
}

/// A plain socket, used from tests' own threads.
final class UnixSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    static func listen(on path: String) throws -> UnixSocket {
        unlink(path)
        let socket = try make()
        guard withAddress(path, { bind(socket.descriptor, $0, $1) }) == 0, Glibc.listen(socket.descriptor, 8) == 0 else {
            throw POSIXError(.init(rawValue: errno) ?? .EIO)
        }
        return socket
    }

    static func connect(to path: String) throws -> UnixSocket {
        let socket = try make()
        guard withAddress(path, { Glibc.connect(socket.descriptor, $0, $1) }) == 0 else {
            throw POSIXError(.init(rawValue: errno) ?? .EIO)
        }
        return socket
    }

    private static func make() throws -> UnixSocket {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        return UnixSocket(descriptor)
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// Waits; nil when the socket was shut down.
    func accept() -> UnixSocket? {
        let guest = Glibc.accept(descriptor, nil, nil)
        return guest >= 0 ? UnixSocket(guest) : nil
    }

    func write(_ bytes: [UInt8]) { _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    /// Reads what there is, and says whether that was all there will ever be.
    var hasEnded: Bool {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
    }

    func shutDown() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
