// Writes EmbeddedMigrations.swift: the text of every migration.
//
// usage: embed-migrations OUTPUT FILE...
//
// A file `0002_create_users.sql` becomes `Migration(number: 2, name: "create_users", sql: "…")`.
import Foundation

func fail(_ path: String, _ problem: String) -> Never {
    FileHandle.standardError.write(Data("\(path): error: \(problem)\n".utf8))
    exit(1)
}

var entries: [String] = []
var lastNumber = 0
for path in CommandLine.arguments.dropFirst(2) {
    let file = URL(fileURLWithPath: path)
    guard let match = file.lastPathComponent.wholeMatch(of: /([0-9]{4})_([a-z0-9_]+)\.sql/), let number = Int(match.1) else {
        fail(path, "a migration's name has the form 0002_create_users.sql")
    }
    guard number > lastNumber else { fail(path, "the number \(number) is taken") }
    lastNumber = number
    guard let sql = String(data: try Data(contentsOf: file), encoding: .utf8) else { fail(path, "not UTF-8") }
    // A string's debug description is a Swift literal of it, on one line.
    entries.append("    Migration(number: \(number), name: \"\(match.2)\", sql: \(sql.debugDescription)),")
}

let source = """
    // Made by embed-migrations from the files in migrations.

    let embeddedMigrations: [Migration] = [
    \(entries.joined(separator: "\n"))
    ]

    """
try source.write(toFile: CommandLine.arguments[1], atomically: true, encoding: .utf8)
