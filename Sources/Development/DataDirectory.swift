import Foundation

/// The data folder, and the right to use it: one stack at a time.
public final class DataDirectory: Sendable {
    public let path: String
    private let lock: Int32

    /// Makes the folder if need be and takes its lock, which lasts as long as this object, and never longer than the
    /// process. Throws when another process has it.
    public init(_ path: String) throws {
        self.path = path
        // The cluster's user has to pass through to its own folder below. What is secret here has its own mode.
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: geteuid() == 0 ? 0o711 : 0o700])
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw SystemError("open \(path)/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let owner = Self.firstLine(of: path + "/lock") ?? "?"
            close(lock)
            throw DevelopmentError(
                "the data folder \(path) is in use by process \(owner); stop that one, or choose another folder with --data-dir")
        }
        ftruncate(lock, 0)
        let text = "\(getpid())\n"
        write(lock, text, text.utf8.count)
    }

    deinit {
        close(lock)
    }

    static func firstLine(of path: String) -> String? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        return text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init)
    }
}
