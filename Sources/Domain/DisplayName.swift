/// A person's name as others see it.
public struct DisplayName: Hashable, Sendable {
    public let text: String

    /// Takes off surrounding blanks. Throws `validation_error` for an empty or over-long name (200 characters, 800 bytes)
    /// and for control characters; `path` leads to the value from the arguments: `.name`.
    public init(_ text: String, path: String) throws(APIError) {
        let trimmed = text.trimmingBlanks()
        guard !trimmed.isEmpty else { throw .invalid(path, "The name is empty.") }
        guard trimmed.utf8.count <= 800, trimmed.count <= 200 else {
            throw .invalid(path, "The name is longer than 200 characters.")
        }
        guard !trimmed.containsControlCharacter else { throw .invalid(path, "The name contains a control character.") }
        self.text = String(trimmed)
    }
}

extension StringProtocol {
    /// Without the white space around it.
    public func trimmingBlanks() -> SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace }) else {
            return self[startIndex..<startIndex]
        }
        return self[first...last]
    }

    /// NUL, which PostgreSQL's text cannot hold, is one of them.
    public var containsControlCharacter: Bool {
        unicodeScalars.contains { $0.properties.generalCategory == .control }
    }
}
