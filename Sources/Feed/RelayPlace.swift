import Foundation

/// Where the workers of one machine that read the same database meet: the socket of the one that holds the slot, and the lock
/// that makes it one.
struct RelayPlace: Sendable {
    let socketPath: String
    let lockPath: String

    /// Makes the folder, if need be, for its owner alone: who can open the socket learns which rows change.
    ///
    /// - Throws: `Unusable` if the workers cannot meet here.
    init(folder: String, origin: FeedOrigin) throws(Unusable) {
        let path = "\(folder)/\(origin.systemIdentifier)-\(origin.databaseID)"
        socketPath = path + ".socket"
        lockPath = path + ".lock"
        guard socketPath.utf8.count <= Self.maximumPathBytes else {
            throw Unusable(reason: "a socket's path has at most \(Self.maximumPathBytes) bytes, and this has more: \(socketPath)")
        }
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw Unusable(reason: "cannot make the folder \(folder): \(Self.lastError)")
        }
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
            throw Unusable(reason: "\(folder) is not a folder of this user")
        }
        guard chmod(folder, 0o700) == 0 else { throw Unusable(reason: "cannot close the folder \(folder): \(Self.lastError)") }
    }

    /// The right to listen on the socket; nil if another worker has it.
    func takeLock() throws(Unusable) -> Lock? {
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Unusable(reason: "cannot open \(lockPath): \(Self.lastError)") }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return Lock(descriptor) }
        let code = errno
        close(descriptor)
        guard code == EWOULDBLOCK || code == EINTR else {
            throw Unusable(reason: "cannot lock \(lockPath): \(Self.text(of: code))")
        }
        return nil
    }

    /// Lasts as long as this object, and never longer than the process.
    final class Lock: Sendable {
        private let descriptor: Int32

        fileprivate init(_ descriptor: Int32) {
            self.descriptor = descriptor
        }

        deinit {
            close(descriptor)
        }
    }

    struct Unusable: Error {
        let reason: String
    }

    /// What `sockaddr_un` has room for, with a zero byte at the end.
    private static let maximumPathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private static var lastError: String { text(of: errno) }

    private static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}
