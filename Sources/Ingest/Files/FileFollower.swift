import Delivery
import Domain
import Events
import Logging

/// Follows one file under its name, whatever becomes of it: renamed and begun anew, copied and emptied, or both while we were away.
struct FileFollower {
    /// A file that has lost the name. Its writer may not have noticed yet.
    private struct Retired {
        var reader: LineReader
        /// Later if something is read from it.
        var until = ContinuousClock.now + FileFollower.patience

        init(_ reader: LineReader) {
            self.reader = reader
        }
    }

    let followed: FollowedFile
    private let lines: FileLines
    private let logger: Logger
    private var retired: [Retired] = []
    private var current: LineReader?
    /// Where we were in what had the name last, until `current` is there.
    private var lastPosition: FilePosition?
    private var lastProblem: String?

    /// How long a file that has lost its name is still read.
    private static let patience = Duration.seconds(10)

    /// - Parameter positions: of this file, as `positions` gave them.
    init(_ followed: FollowedFile, from positions: [FilePosition], lines: FileLines, logger: Logger) {
        self.followed = followed
        self.lines = lines
        self.logger = logger
        lastPosition = positions.last
        for position in positions.dropLast() { findRest(of: position, besides: nil) }
    }

    /// What to go on from after a restart: of files that have lost the name, and then of the one that has it.
    var positions: [FilePosition] {
        retired.map(\.reader.position) + [current?.position ?? lastPosition].compactMap { $0 }
    }

    /// Reads what has been written since, as long as the batch has fewer bytes than the limit.
    mutating func readOn(into batch: inout IntakeBatch, limit: Int) {
        do throws(FileProblem) {
            try takeUpName()
            for index in retired.indices where try lines.read(&retired[index].reader, of: followed, into: &batch, limit: limit) {
                retired[index].until = .now + Self.patience
            }
            if batch.byteCount < limit { try dismissRetired(&batch) }
            if current != nil { _ = try lines.read(&current!, of: followed, into: &batch, limit: limit) }
            lastProblem = nil
        } catch {
            if lastProblem != error.description {
                logger.warning("a followed file cannot be read now", metadata: ["problem": "\(error)"])
            }
            lastProblem = error.description
        }
    }

    /// Nobody has written to them for a while.
    private mutating func dismissRetired(_ batch: inout IntakeBatch) throws(FileProblem) {
        let now = ContinuousClock.now
        for index in retired.indices where retired[index].until < now {
            _ = try lines.read(&retired[index].reader, of: followed, isComplete: true, into: &batch, limit: .max)
        }
        retired.removeAll { $0.until < now }
    }

    // MARK: Whose name it is

    /// Sees to it that `current` is the file that has the name, from where we were in it.
    private mutating func takeUpName() throws(FileProblem) {
        let status: OpenFile.Status
        do {
            status = try OpenFile.status(of: followed.path)
        } catch {
            // Between two files, or none yet.
            if error.isNotFound { return }
            throw error
        }
        if let reader = current {
            let ours = try reader.file.status()
            if (ours.device, ours.inode) != (status.device, status.inode) {
                retired.append(Retired(reader))
                current = nil
                lastPosition = nil
            } else if try !LineReader.matches(reader.file, reader.position, fingerprint: reader.position.fingerprint) {
                // Emptied, and maybe written to again.
                current = nil
                lastPosition = reader.position
            }
        }
        if current == nil { try open() }
    }

    private mutating func open() throws(FileProblem) {
        let file: OpenFile
        do {
            file = try OpenFile(followed.path)
        } catch {
            if error.isNotFound { return }
            throw error
        }
        let status = try file.status()
        guard status.isRegular else { throw FileProblem.notRegular(followed.path) }
        guard let fingerprint = try LineReader.fingerprint(of: file, name: lines.name(of: followed)) else { return }
        var position = FilePosition(path: followed.path, inode: status.inode, fingerprint: fingerprint)
        if let last = lastPosition {
            let isSameFile = last.inode == status.inode
            if isSameFile, try LineReader.matches(file, last, fingerprint: fingerprint) {
                position = last
            } else {
                if isSameFile, last.fingerprint == fingerprint { position.generation = last.generation + 1 }
                findRest(of: last, besides: status.inode)
            }
        }
        lastPosition = nil
        current = LineReader(file, at: position)
    }

    /// Looks beside the name for what we had been reading under it: renamed (`access.log.1`), or a copy of what was then emptied.
    ///
    /// - Parameter inode: the file that has the name now.
    private mutating func findRest(of position: FilePosition, besides inode: UInt64?) {
        var siblings: [(file: OpenFile, status: OpenFile.Status, fingerprint: UInt64)] = []
        for path in OpenFile.paths(besides: followed.path) {
            // Whoever cannot be read is not the one, or compressed and gone as well.
            guard let file = try? OpenFile(path), let status = try? file.status(), status.isRegular, status.inode != inode,
                let fingerprint = try? LineReader.fingerprint(of: file, name: lines.name(of: followed))
            else { continue }
            siblings.append((file, status, fingerprint))
        }
        siblings.sort { $0.status.changedAt < $1.status.changedAt }
        guard let found = siblings.firstIndex(where: {
            (try? LineReader.matches($0.file, position, fingerprint: $0.fingerprint)) == true
        }) else {
            return logger.notice(
                "a followed file was replaced, and what had been written to it last cannot be found",
                metadata: ["path": "\(followed.path)"])
        }
        retired.append(Retired(LineReader(siblings[found].file, at: position)))
        guard siblings[found].status.inode == position.inode else { return }
        // It was renamed, and so were those that had the name after it.
        for sibling in siblings[(found + 1)...] {
            let position = FilePosition(path: followed.path, inode: sibling.status.inode, fingerprint: sibling.fingerprint)
            retired.append(Retired(LineReader(sibling.file, at: position)))
        }
    }
}
