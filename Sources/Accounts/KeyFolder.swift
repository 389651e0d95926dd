import Domain

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The folder of secrets in the data folder: mode 0700, its files 0600 and never changed once they are there.
struct KeyFolder: Sendable {
    /// A secret could not be read or written. The description has the path, never the content.
    struct Failure: Error, CustomStringConvertible {
        let action: String
        let path: String
        let code: Int32
        var description: String { "cannot \(action) \(path): \(String(cString: strerror(code)))" }
    }

    let path: String

    /// Makes the folder, and the data folder that it stands in, when they are missing.
    init(dataFolder: String) throws(Failure) {
        path = dataFolder + "/keys"
        for (path, mode) in [(dataFolder, mode_t(0o755)), (path, 0o700)] {
            guard mkdir(path, mode) == 0 || errno == EEXIST else { throw Failure(action: "create", path: path, code: errno) }
        }
        guard chmod(path, 0o700) == 0 else { throw Failure(action: "protect", path: path, code: errno) }
    }

    func names() throws(Failure) -> [String] {
        guard let folder = opendir(path) else { throw Failure(action: "list", path: path, code: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names
    }

    func content(of name: String) throws(Failure) -> [UInt8] {
        let path = path + "/" + name
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(action: "read", path: path, code: errno) }
        defer { close(file) }
        var content: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &piece, piece.count)
            guard count >= 0 else { throw Failure(action: "read", path: path, code: errno) }
            if count == 0 { return content }
            content += piece[..<count]
        }
    }

    /// Writes a file whole or not at all, and durably.
    ///
    /// - Returns: false when there is a file of that name already, which stays as it is.
    func create(_ name: String, content: [UInt8]) throws(Failure) -> Bool {
        let path = path + "/" + name
        // Complete under another name first: a link either appears with all its content or finds the name taken.
        let draft = self.path + "/.draft-" + UUIDBits.random().description
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure(action: "create", path: draft, code: errno) }
        defer {
            close(file)
            unlink(draft)
        }
        var written = 0
        while written < content.count {
            let count = content[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(action: "write", path: draft, code: errno) }
            written += count
        }
        guard fsync(file) == 0 else { throw Failure(action: "write", path: draft, code: errno) }
        guard link(draft, path) == 0 else {
            if errno == EEXIST { return false }
            throw Failure(action: "create", path: path, code: errno)
        }
        try synchronize()
        return true
    }

    /// Makes the folder's entries durable.
    private func synchronize() throws(Failure) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Failure(action: "open", path: path, code: errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw Failure(action: "synchronize", path: path, code: errno) }
    }
}
