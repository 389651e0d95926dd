import Events

/// What operators do with dead letters. All of it may be done while the daemon runs.
public enum DeadLetters {
    /// What a replay has done.
    public struct Replay: Equatable, Sendable {
        /// Events that are durable in the intake's spool, and no longer among the dead letters.
        public var replayed = 0
        /// Letters that are no events. They stay.
        public var kept = 0
    }

    /// Calls `body` with each dead letter of a spool's folder, in the order in which they were written.
    public static func list(folder: String, _ body: (DeadLetter) async throws -> Void) async throws {
        let files = DeadLetterFolder(folder)
        for path in [files.replayed, files.file] {
            try await DeadLetterFolder.lines(of: path) { line in
                if let letter = DeadLetter(line: line) { try await body(letter) }
            }
        }
    }

    /// Hands the events among a spool's dead letters in again, for whoever has removed the reason for which they were refused.
    ///
    /// They have their old keys and row ids, so an event that was stored in another way meanwhile, or by a replay that was
    /// interrupted, is not stored twice.
    ///
    /// - Parameter intake: of another spool than `folder`'s.
    public static func replay(folder: String, into intake: Intake) async throws -> Replay {
        let files = DeadLetterFolder(folder)
        var replay = Replay()
        guard try files.beginReplay() else { return replay }
        var batch = IntakeBatch()
        var kept: [UInt8] = []
        try await DeadLetterFolder.lines(of: files.replayed) { line in
            guard let entry = DeadLetter(line: line)?.entry,
                case .event(let input, let key, _)? = try? SpoolEntry(decoding: entry[...])
            else {
                kept += line
                kept.append(UInt8(ascii: "\n"))
                replay.kept += 1
                return
            }
            batch.add(record: entry[...], input: input, key: key)
            replay.replayed += 1
            if batch.byteCount > 1 << 20 {
                _ = try await intake.accept(batch)
                batch = IntakeBatch()
            }
        }
        _ = try await intake.accept(batch)
        try files.endReplay(keeping: kept)
        return replay
    }
}
