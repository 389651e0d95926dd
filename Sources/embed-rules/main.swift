// Writes EmbeddedRules.swift: the text of every rule file.
//
// usage: embed-rules OUTPUT FILE...
import Foundation

let entries = try CommandLine.arguments.dropFirst(2).map { path in
    let file = URL(fileURLWithPath: path)
    // A string's debug description is a Swift literal of it, on one line.
    let text = try String(contentsOf: file, encoding: .utf8).debugDescription
    return "    RuleFile(name: \(file.lastPathComponent.debugDescription), text: \(text)),"
}

let source = """
    // Made by embed-rules from the files in deploy/rules.

    let embeddedRules: [RuleFile] = [
    \(entries.joined(separator: "\n"))
    ]

    """
try source.write(toFile: CommandLine.arguments[1], atomically: true, encoding: .utf8)
