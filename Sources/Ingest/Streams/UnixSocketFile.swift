#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import NIOCore
import NIOPosix

/// A Unix socket's name in the file system.
struct UnixSocketFile {
    let path: String

    /// Room in `sockaddr_un`, without the NUL at the end.
    private static let longestPath = 107

    /// What the socket is bound to, until only its owner may connect.
    private var newPath: String { path + ".new" }

    /// Listens on the path. Only processes of the same user may connect. A file that nobody listens on is replaced.
    func bind(_ bootstrap: ServerBootstrap) async throws -> any Channel {
        guard newPath.utf8.count <= Self.longestPath else {
            throw UnixSocketFileError(
                description: "\(path) is too long for a Unix socket, which can have \(Self.longestPath - 4) bytes")
        }
        guard try !somebodyListens() else { throw UnixSocketFileError(description: "another process listens on \(path)") }
        let channel = try await bootstrap.bind(unixDomainSocketPath: newPath, cleanupExistingSocketFile: true).get()
        guard chmod(newPath, 0o600) == 0, rename(newPath, path) == 0 else {
            let reason = String(cString: strerror(errno))
            try? await channel.close()
            unlink(newPath)
            throw UnixSocketFileError(description: "\(path) cannot be made: \(reason)")
        }
        return channel
    }

    /// Removes the file. The caller is the one that listens on it.
    func remove() { unlink(path) }

    /// Whether there is somebody who answers, or something that is no socket.
    private func somebodyListens() throws(UnixSocketFileError) -> Bool {
        var information = stat()
        guard lstat(path, &information) == 0 else { return false }
        guard information.st_mode & S_IFMT == S_IFSOCK else {
            throw UnixSocketFileError(description: "\(path) is there, and is no socket")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(Self.longestPath)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}

/// Why a Unix socket is not there.
struct UnixSocketFileError: Error, CustomStringConvertible {
    let description: String
}
