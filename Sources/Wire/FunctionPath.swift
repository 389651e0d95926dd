/// The name of a function: `messages:list`, `admin/users:list`, `mod` for `mod:default` (convex-protocol.md 8.1).
public struct FunctionPath: Hashable, Sendable {
    /// Without `.js`: `admin/users`.
    public let module: String
    public let function: String

    /// Reads any form that clients send; nil for what cannot be a name.
    public init?(_ text: String) {
        guard text.utf8.count <= 512 else { return nil }
        var module = text[...]
        var function: Substring = "default"
        if let colon = text.lastIndex(of: ":") {
            module = text[..<colon]
            function = text[text.index(after: colon)...]
        }
        if module.hasSuffix(".js") { module = module.dropLast(3) }
        let parts = module.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy(Self.isPart), Self.isIdentifier(function) else { return nil }
        self.module = String(module)
        self.function = String(function)
    }

    private static func isPart(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.count <= 61 && text.utf8.contains(where: isAlphanumeric)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") }
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 64 else { return false }
        return !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "$") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }

    /// With its file, as error texts name it: `messages.js:list`.
    public var inFile: String { "\(module).js:\(function)" }
}

extension FunctionPath: CustomStringConvertible {
    /// `messages:list`; the default function goes without its name.
    public var description: String { function == "default" ? module : "\(module):\(function)" }
}

extension FunctionPath: ExpressibleByStringLiteral {
    /// For names in source code. A name that is none stops the program.
    public init(stringLiteral text: String) {
        guard let path = FunctionPath(text) else { preconditionFailure("not a function path: \(text)") }
        self = path
    }
}
