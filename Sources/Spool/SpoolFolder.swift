#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The files of a spool: `lock`, `identity` and the segments, each named after the position of its first record. Files with
/// other names are left alone.
struct SpoolFolder: Sendable {
    let path: String
    /// Stays open, so that a process that has used up its file descriptors can still make names durable.
    private let directory: OpenFile

    init(path: String) throws(SpoolError) {
        self.path = path
        directory = try OpenFile(path, flags: O_RDONLY | O_DIRECTORY)
    }

    /// What is free on its disk for this process; nil when the system does not say.
    var availableBytes: Int? {
        var disk = statvfs()
        guard statvfs(path, &disk) == 0 else { return nil }
        return Int(disk.f_bavail) * Int(disk.f_frsize)
    }

    private var identityPath: String { path + "/identity" }

    func segmentPath(_ firstPosition: UInt64) -> String { path + "/" + Self.segmentName(firstPosition) }

    static func segmentName(_ firstPosition: UInt64) -> String {
        let digits = String(firstPosition)
        return String(repeating: "0", count: 20 - digits.count) + digits + ".segment"
    }

    /// Makes the folder, and those that it stands in, durably. Others than the owner cannot enter.
    static func create(_ path: String) throws(SpoolError) {
        var end = path.startIndex
        while end < path.endIndex {
            end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
            let folder = String(path[..<end])
            if mkdir(folder, 0o700) == 0 {
                try SpoolFolder(path: folder + "/..").synchronize()
            } else if errno != EEXIST {
                throw SpoolError(errno: errno)
            }
        }
        guard chmod(path, 0o700) == 0 else { throw SpoolError(errno: errno) }
    }

    /// Makes the names of the files durable.
    func synchronize() throws(SpoolError) {
        try directory.synchronize()
    }

    /// The first positions of the segments, ascending, as their names tell. No spool comes to positions that 63 bits cannot tell.
    func segmentPositions() throws(SpoolError) -> [UInt64] {
        guard let folder = opendir(path) else { throw SpoolError(errno: errno) }
        defer { closedir(folder) }
        var positions: [UInt64] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let position = UInt64(name.prefix(20)), position <= Int64.max, name == Self.segmentName(position) {
                positions.append(position)
            }
        }
        return positions.sorted()
    }

    func openSegment(_ firstPosition: UInt64, flags: Int32 = O_RDONLY) throws(SpoolError) -> OpenFile {
        try OpenFile(segmentPath(firstPosition), flags: flags)
    }

    /// Makes a segment without records, not durably yet. A file of this name is replaced: nothing durable was in it.
    func createSegment(_ header: SegmentHeader) throws(SpoolError) -> OpenFile {
        let file = try OpenFile(segmentPath(header.firstPosition), flags: O_RDWR | O_CREAT | O_TRUNC)
        try file.write(header.bytes, at: 0)
        return file
    }

    func removeSegment(_ firstPosition: UInt64) throws(SpoolError) {
        guard unlink(segmentPath(firstPosition)) == 0 || errno == ENOENT else { throw SpoolError(errno: errno) }
    }

    func renameSegment(_ firstPosition: UInt64, to newPath: String) throws(SpoolError) {
        guard rename(segmentPath(firstPosition), newPath) == 0 else { throw SpoolError(errno: errno) }
        try synchronize()
    }

    /// The spool's id; nil when there is no legible one.
    func readIdentity() throws(SpoolError) -> SpoolID? {
        do {
            let text = try OpenFile(identityPath, flags: O_RDONLY).read(upTo: 33, at: 0)
            return SpoolID(String(decoding: text.prefix(32), as: UTF8.self))
        } catch .failed(ENOENT) {
            return nil
        }
    }

    func writeIdentity(_ id: SpoolID) throws(SpoolError) {
        let draft = identityPath + ".new"
        let file = try OpenFile(draft, flags: O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(Array("\(id)\n".utf8), at: 0)
        try file.synchronize()
        guard rename(draft, identityPath) == 0 else { throw SpoolError(errno: errno) }
        try synchronize()
    }
}

/// The right to use a spool's folder: one process at a time, and never longer than it lives.
final class FolderLock: Sendable {
    private let descriptor: Int32

    init(_ folder: SpoolFolder) throws(SpoolError) {
        descriptor = open(folder.path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError(errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK ? .inUse : SpoolError(errno: errno)
        }
    }

    deinit {
        close(descriptor)
    }

    func giveBack() {
        flock(descriptor, LOCK_UN)
    }
}
