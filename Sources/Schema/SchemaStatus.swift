/// How a database's schema compares with the one that this program was built for.
public struct SchemaStatus: Sendable {
    /// What the database has, by number.
    public let applied: [AppliedMigration]
    /// What this program has and the database does not, after everything that is applied.
    public let pending: [Migration]
    /// What the database has beyond everything that this program knows.
    public let unknown: [AppliedMigration]
    /// Where the two histories contradict each other; no migration may run until a person has looked.
    public let contradictions: [Contradiction]

    /// A place where the applied migrations are not the first ones of the known ones.
    public enum Contradiction: Hashable, Sendable {
        /// The file was changed after it had been applied.
        case edited(AppliedMigration, known: Migration)
        /// The database has it and goes on with numbers that this program knows.
        case foreign(AppliedMigration)
        /// The database does not have it, and has later ones.
        case skipped(Migration)
    }

    /// Compares the two histories.
    public init(applied: [AppliedMigration], known: [Migration]) {
        let applied = applied.sorted { $0.number < $1.number }
        let knownByNumber = Dictionary(uniqueKeysWithValues: known.map { ($0.number, $0) })
        let appliedNumbers = Set(applied.map(\.number))
        let lastApplied = applied.last?.number ?? 0
        let lastKnown = known.map(\.number).max() ?? 0

        var unknown: [AppliedMigration] = []
        var contradictions: [(number: Int, what: Contradiction)] = []
        for migration in applied {
            if let file = knownByNumber[migration.number] {
                if file.checksum != migration.checksum {
                    contradictions.append((migration.number, .edited(migration, known: file)))
                }
            } else if migration.number > lastKnown {
                unknown.append(migration)
            } else {
                contradictions.append((migration.number, .foreign(migration)))
            }
        }
        for file in known where file.number < lastApplied && !appliedNumbers.contains(file.number) {
            contradictions.append((file.number, .skipped(file)))
        }
        self.applied = applied
        self.unknown = unknown
        self.pending = known.filter { $0.number > lastApplied }.sorted { $0.number < $1.number }
        self.contradictions = contradictions.sorted { $0.number < $1.number }.map(\.what)
    }

    /// Throws unless this program may run on the database as it is.
    public func requireCurrent() throws(SchemaError) {
        try requireIntactHistory()
        if !pending.isEmpty { throw .older(pending) }
    }

    /// Throws unless the applied migrations are the first ones of the known ones, unchanged.
    public func requireIntactHistory() throws(SchemaError) {
        if !contradictions.isEmpty { throw .contradictory(contradictions) }
        if !unknown.isEmpty { throw .newer(unknown) }
    }
}

/// Why a program and a database do not go together, in words for the operator.
public enum SchemaError: Error, Sendable {
    /// The database lacks these.
    case older([Migration])
    /// The database has these, and this program does not know them.
    case newer([AppliedMigration])
    case contradictory([SchemaStatus.Contradiction])
}

extension SchemaError: CustomStringConvertible {
    /// Several lines, the first of which says what is wrong, and the last what helps.
    public var description: String {
        switch self {
        case .older(let pending):
            """
            The database's schema is older than this program: it lacks
            \(pending.map { "  \($0.fileName)  \(short($0.checksum))" }.joined(separator: "\n"))
            Run 'attune-migrate up'.
            """
        case .newer(let unknown):
            """
            The database's schema is newer than this program: it has, and this program does not know,
            \(unknown.map { "  \($0.fileName)  \(short($0.checksum))  applied \($0.appliedAt) UTC" }.joined(separator: "\n"))
            Use the release of Attune that brought them; 'attune-migrate status' shows what the database has.
            """
        case .contradictory(let contradictions):
            """
            The database's schema has another history than this program:
            \(contradictions.map(line).joined(separator: "\n"))
            Restore the files as they were applied; changes belong in a new migration.
            """
        }
    }

    private func line(_ contradiction: SchemaStatus.Contradiction) -> String {
        switch contradiction {
        case .edited(let applied, let known):
            """
              \(known.fileName)  was edited: the file is \(short(known.checksum)),
                applied was \(applied.fileName) \(short(applied.checksum)) at \(applied.appliedAt) UTC
            """
        case .foreign(let applied):
            """
              \(applied.fileName)  \(short(applied.checksum)) was applied at \(applied.appliedAt) UTC;
                this program does not have it
            """
        case .skipped(let known):
            "  \(known.fileName)  \(short(known.checksum)) was not applied, and later ones were"
        }
    }

    private func short(_ checksum: String) -> Substring { checksum.prefix(12) }
}
