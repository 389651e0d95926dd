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
        for position in positions.dropLast() { _ = resume(position, among: siblings(besides: nil)) }
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
            if last.inode == status.inode, try LineReader.matches(file, last, fingerprint: fingerprint) {
                position = last
            } else {
                position.follow(takeUpRest(after: last, besides: status.inode))
            }
        }
        lastPosition = nil
        current = LineReader(file, at: position)
    }

    // MARK: What had it before

    private struct Sibling {
        let file: OpenFile
        let status: OpenFile.Status
        let fingerprint: UInt64
    }

    /// Files beside the name (`access.log.1`), from the one that was written to the longest ago.
    ///
    /// - Parameter inode: the file that has the name.
    private func siblings(besides inode: UInt64?) -> [Sibling] {
        OpenFile.paths(besides: followed.path).compactMap { path in
            // Whoever cannot be read is not one of ours.
            guard let file = try? OpenFile(path), let status = try? file.status(), status.isRegular, status.inode != inode,
                let fingerprint = try? LineReader.fingerprint(of: file, name: lines.name(of: followed))
            else { return nil }
            return Sibling(file: file, status: status, fingerprint: fingerprint)
        }.sorted { $0.status.changedAt < $1.status.changedAt }
    }

    /// Reads on from the position in the file that it is in: the one that was renamed, or a copy of what was then emptied.
    ///
    /// - Returns: where among the siblings that is.
    private mutating func resume(_ position: FilePosition, among siblings: [Sibling]) -> Int? {
        let found = siblings.firstIndex { (try? LineReader.matches($0.file, position, fingerprint: $0.fingerprint)) == true }
        if let found {
            retired.append(Retired(LineReader(siblings[found].file, at: position)))
        } else {
            logger.notice(
                "a followed file was replaced, and what had been written to it last cannot be found",
                metadata: ["path": "\(followed.path)"])
        }
        return found
    }

    /// Reads what we had been reading under the name to its end, and what had the name after it, while we were away.
    ///
    /// - Returns: the positions in all of them.
    private mutating func takeUpRest(after last: FilePosition, besides inode: UInt64) -> [FilePosition] {
        let siblings = siblings(besides: inode)
        let known = Set(retired.compactMap { try? $0.reader.file.status().inode })
        var positions = [last]
        guard let found = resume(last, among: siblings) else { return positions }
        let isCopied = siblings[found].status.inode != last.inode
        for sibling in siblings[(found + 1)...] where !known.contains(sibling.status.inode) {
            // A copy's lines are those of the file that was emptied.
            var position = FilePosition(
                path: followed.path, inode: isCopied ? last.inode : sibling.status.inode, fingerprint: sibling.fingerprint)
            position.follow(positions)
            positions.append(position)
            retired.append(Retired(LineReader(sibling.file, at: position)))
        }
        return positions
    }
}
