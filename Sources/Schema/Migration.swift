// Schema brings a database's tables to the form that this program was built for, and says when they are not.
import Crypto

/// One step from an older schema to a newer one: a file of the top-level `migrations` folder.
public struct Migration: Hashable, Sendable {
    /// The position in the order in which migrations are applied; the first is 1.
    public let number: Int
    /// What it does, from the file's name: `create_users`.
    public let name: String
    public let sql: String
    /// SHA-256 of the text, 64 hexadecimal digits. An applied migration keeps its text for ever.
    public let checksum: String

    public init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
        self.checksum = SHA256.hash(data: Array(sql.utf8)).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    /// The migrations that this program was built with, by number.
    public static let all = embeddedMigrations

    /// `0002_create_users.sql`
    public var fileName: String { migrationFileName(number: number, name: name) }

    /// False if its first line is `-- no-transaction`, which `CREATE INDEX CONCURRENTLY` and its like need. Such a file
    /// holds one statement, and one that can be run again: should the program die before it is recorded, it will be.
    var runsInTransaction: Bool {
        sql.prefix { !$0.isNewline } != "-- no-transaction"
    }
}

/// A row of `schema_migrations`: a migration that the database has.
public struct AppliedMigration: Hashable, Sendable {
    public let number: Int
    public let name: String
    /// Of the text that was applied, as `Migration.checksum`.
    public let checksum: String
    /// UTC, to the second: `2026-05-04 18:30:00`.
    public let appliedAt: String

    public init(number: Int, name: String, checksum: String, appliedAt: String) {
        self.number = number
        self.name = name
        self.checksum = checksum
        self.appliedAt = appliedAt
    }

    /// The name of the file that it came from.
    public var fileName: String { migrationFileName(number: number, name: name) }
}

private func migrationFileName(number: Int, name: String) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "_" + name + ".sql"
}
