// Writes EmbeddedPages.swift: every file of the web pages, by its path below FOLDER. All are text.
//
// usage: embed-pages OUTPUT FOLDER FILE...
import Foundation

let folder = CommandLine.arguments[2]
let entries = try CommandLine.arguments.dropFirst(3).map { path in
    // A string's debug description is a Swift literal of it, on one line.
    let text = try String(contentsOfFile: path, encoding: .utf8).debugDescription
    let name = String(path.dropFirst(folder.count)).trimmingCharacters(in: CharacterSet(charactersIn: "/"))
    return "    \(name.debugDescription): \(text),"
}

let source = """
    // Made by embed-pages from the files in Sources/Pages/site.

    let embeddedPages: [String: String] = [
    \(entries.isEmpty ? ":" : entries.joined(separator: "\n"))
    ]

    """
try source.write(toFile: CommandLine.arguments[1], atomically: true, encoding: .utf8)
