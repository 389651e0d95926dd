// Writes FunctionList.swift: the functions of the API, one for each file in Sources/Functions.
//
// usage: list-functions OUTPUT FILE...
//
// A file `SendMessage.swift` declares `enum SendMessage { static let function = … }`; nothing else has to name it.
import Foundation

let output = CommandLine.arguments[1]
let names = CommandLine.arguments.dropFirst(2)
    .map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }
    .sorted()

let source = """
    // Made by list-functions from the files in Sources/Functions.
    import Registry

    /// Every function of the API, in order of its file's name.
    public let allFunctions: [FunctionDefinition] = [
    \(names.map { "    \($0).function," }.joined(separator: "\n"))
    ]

    """
try source.write(toFile: output, atomically: true, encoding: .utf8)
