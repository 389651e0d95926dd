import Foundation

/// Where a private cluster keeps what:
///
/// - `postgresql/data`, the cluster; `postgresql/log`, the server's messages; `postgresql/port`; the Unix socket. They
///   belong to the user who runs the server. `postgresql` may be a link to a place that this user can reach.
/// - `database-passwords`, for libpq (`passfile`). Belongs to us.
struct ClusterFiles: Sendable {
    let directory: String
    let passwords: String

    var data: String { directory + "/data" }
    var log: String { directory + "/log" }
    private var portFile: String { directory + "/port" }

    /// The folder for the Unix socket. The path of a socket has room for 107 bytes, and the server's setting for plain
    /// characters; otherwise the socket lies in a short folder.
    var socketDirectory: String {
        let isPlain = directory.utf8.allSatisfy { byte in
            switch UnicodeScalar(byte) {
            case "a"..."z", "A"..."Z", "0"..."9", "/", ".", "_", "-": true
            default: false
            }
        }
        let fits = directory.utf8.count + "/.s.PGSQL.65535".utf8.count <= 107
        return isPlain && fits ? directory : "/tmp/attune-\(Self.hash(directory))"
    }

    init(dataDirectory: String) throws {
        directory = URL(fileURLWithPath: dataDirectory + "/postgresql").resolvingSymlinksInPath().path
        passwords = dataDirectory + "/database-passwords"
        guard FileManager.default.fileExists(atPath: directory) else {
            throw DevelopmentError("there is no cluster in \(dataDirectory); start one with 'attune dev', or set DATABASE_URL")
        }
    }

    /// Makes the folders, with the right owner.
    static func prepare(
        in dataDirectory: String, serverUser: String?, report: (String) -> Void
    ) async throws -> ClusterFiles {
        let link = dataDirectory + "/postgresql"
        if !FileManager.default.fileExists(atPath: link) {
            if let serverUser, !(try await canEnter(dataDirectory, as: serverUser)) {
                let elsewhere = "/var/lib/attune/" + hash(dataDirectory)
                try makeDirectory("/var/lib/attune", mode: 0o755)
                try makeDirectory(elsewhere, mode: 0o700, owner: serverUser)
                // A link that leads nowhere can be left over.
                unlink(link)
                guard symlink(elsewhere, link) == 0 else { throw SystemError("make the link \(link)") }
                report("the user '\(serverUser)' cannot enter \(dataDirectory), so the cluster is in \(elsewhere)")
            } else {
                try makeDirectory(link, mode: 0o700, owner: serverUser)
            }
        }
        return try ClusterFiles(dataDirectory: dataDirectory)
    }

    func makeSocketDirectory(serverUser: String?) throws {
        if socketDirectory != directory { try Self.makeDirectory(socketDirectory, mode: 0o700, owner: serverUser) }
    }

    func removeSocketDirectory() {
        if socketDirectory != directory { rmdir(socketDirectory) }
    }

    private static func canEnter(_ directory: String, as user: String) async throws -> Bool {
        try await ChildProcess.run("/usr/bin/test", ["-x", directory], user: user).exit == .code(0)
    }

    /// Makes a folder, or makes sure that the one that is there is a folder of that user: /tmp is anybody's.
    private static func makeDirectory(_ path: String, mode: mode_t, owner: String? = nil) throws {
        let ownerID = try owner.map(userID) ?? geteuid()
        if mkdir(path, mode) == 0 {
            guard chmod(path, mode) == 0, chown(path, ownerID, gid_t.max) == 0 else {
                throw SystemError("set the owner of \(path)")
            }
            return
        }
        guard errno == EEXIST else { throw SystemError("make the folder \(path)") }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == ownerID else {
            throw DevelopmentError("\(path) exists, but is not a folder of user \(ownerID); remove it")
        }
    }

    private static func userID(_ name: String) throws -> uid_t {
        guard let user = getpwnam(name) else { throw SystemError("find the user \(name)", code: ENOENT) }
        return user.pointee.pw_uid
    }

    func give(_ path: String, to user: String) throws {
        guard chown(path, try Self.userID(user), gid_t.max) == 0 else { throw SystemError("set the owner of \(path)") }
    }

    // MARK: Passwords

    /// Writes a file with a new password for each user, and returns the passwords.
    func makePasswords(users: [String]) throws -> [String] {
        let made = users.map { _ in (0..<4).map { _ in Self.hexadecimal(UInt64.random(in: .min ... .max)) }.joined() }
        try writeSecret(zip(users, made).map { "*:*:*:\($0):\($1)\n" }.joined(), to: passwords)
        return made
    }

    func password(of user: String) throws -> String {
        let lines = (try? String(contentsOfFile: passwords, encoding: .utf8))?.split(separator: "\n") ?? []
        guard let line = lines.first(where: { $0.hasPrefix("*:*:*:\(user):") }), let password = line.split(separator: ":").last
        else {
            throw DevelopmentError("\(passwords) has no password of the cluster's user '\(user)'; restore the file")
        }
        return String(password)
    }

    /// A file that nobody else can read at any moment.
    func writeSecret(_ text: String, to path: String) throws {
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("write \(path)") }
        defer { close(descriptor) }
        guard write(descriptor, text, text.utf8.count) == text.utf8.count, fsync(descriptor) == 0 else {
            throw SystemError("write \(path)")
        }
    }

    func append(_ text: String, to path: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
    }

    // MARK: Address

    func connectionString(user: String, database: String) throws -> String {
        guard let port = rememberedPort else {
            throw DevelopmentError("the cluster in \(directory) has never been started; start it with 'attune dev'")
        }
        return "host=\(socketDirectory) port=\(port) user=\(user) dbname=\(database) passfile=\(Self.quote(passwords))"
    }

    private var rememberedPort: Int? { DataDirectory.firstLine(of: portFile).flatMap { Int($0) } }

    /// The port of the last time, or, if somebody else has it now, a free one, which is remembered.
    func choosePort() throws -> Int {
        if let port = rememberedPort, (try? LocalPort.check(host: "127.0.0.1", port: port)) != nil { return port }
        let port = try LocalPort.findFree()
        try "\(port)\n".write(toFile: portFile, atomically: true, encoding: .utf8)
        return port
    }

    /// A value in a connection string.
    private static func quote(_ value: String) -> String {
        "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }

    // MARK: The server's own files

    /// The process of a server that runs on this cluster, or nil.
    func runningServer() -> pid_t? {
        guard let processID = DataDirectory.firstLine(of: data + "/postmaster.pid").flatMap({ pid_t($0) }), processID > 0 else {
            return nil
        }
        // A server's working directory is its cluster. Any other process has merely got the number of one that died.
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/\(processID)/cwd", &buffer, buffer.count)
        if count > 0 { return String(decoding: buffer[..<count], as: UTF8.self) == data ? processID : nil }
        // Another user's: the folder, which is ours alone, is not theirs.
        return nil
    }

    /// Whether the server has written that it takes connections: what `pg_ctl --wait` looks at.
    func isReady(processID: pid_t) -> Bool {
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8) else { return false }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count > 7 && lines[0] == "\(processID)" && lines[7].hasPrefix("ready")
    }

    /// Begins a new log when this one is over 10 MB, and keeps one old one.
    func rotateLog() {
        var status = stat()
        if stat(log, &status) == 0, status.st_size > 10 << 20 { rename(log, log + ".old") }
    }

    func endOfLog() -> String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(12).joined(separator: "\n")
    }

    /// Short, and the same every time: FNV-1a.
    private static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hexadecimal(hash)
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
