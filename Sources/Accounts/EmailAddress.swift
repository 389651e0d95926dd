import Domain

/// The address that names an account: lower case, without surrounding blanks.
public struct EmailAddress: Hashable, Sendable {
    public let text: String

    /// Throws `validation_error` for what cannot be an address; `path` leads to the value from the arguments.
    public init(_ text: String, path: String) throws(APIError) {
        let address = text.trimmingBlanks().lowercased()
        // Whether mail arrives there is not ours to know; this keeps out slips, and what PostgreSQL's text cannot hold.
        guard address.utf8.count <= 320, !address.containsControlCharacter, !address.contains(where: \.isWhitespace),
            let at = address.lastIndex(of: "@"), at != address.startIndex, address.index(after: at) != address.endIndex
        else { throw .invalid(path, "This is not an e-mail address.") }
        self.text = address
    }
}
