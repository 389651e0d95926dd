import Domain
import Models
import Postgres
import Registry
import Store

/// users:search
enum SearchUsers {
    private static let maximumQueryBytes = 800

    static let function = FunctionDefinition.query(
        "users:search", "Users whose name holds the text, case and accents aside: at most 20, the best match first.",
        access: .signedIn,
        arguments: Arguments(.required("query", String.self)),
        returns: [UserProfile].self
    ) { context, query in
        let query = String(query.trimmingBlanks())
        guard query.utf8.count <= maximumQueryBytes else {
            throw APIError.invalid(".query", "A search may have at most \(maximumQueryBytes) bytes.")
        }
        // Names may change into and out of the result, so any change of the table counts.
        context.depends(on: [.all(of: .users)])
        guard !query.isEmpty else { return [] }
        let caller = try context.principal
        let rows = try await context.rows(search(query), reading: .all(of: .users))
        return try rows.map { try UserProfile($0, viewer: caller) }
    }

    /// Names that begin with the text come first, then names of which a word does, then the more similar ones.
    ///
    /// The text means itself: its wildcards are escaped once it is a key, since taking accents off makes a `%` of a
    /// full-width one. Of a text of nothing but accents no key is left, and nobody has that.
    private static let search = Statement(
        "users.search",
        #"""
        SELECT \#(UserProfile.columns)
        FROM users
        CROSS JOIN (
            SELECT search_key($1) AS key, regexp_replace(search_key($1), '([\\%_])', '\\\1', 'g') AS pattern
        ) AS wanted
        WHERE users.removed_at IS NULL
          AND wanted.key <> ''
          AND search_key(users.name) LIKE '%' || wanted.pattern || '%'
        ORDER BY search_key(users.name) LIKE wanted.pattern || '%' DESC,
                 search_key(users.name) LIKE '% ' || wanted.pattern || '%' DESC,
                 similarity(search_key(users.name), wanted.key) DESC,
                 users.name,
                 users.id
        LIMIT 20
        """#)
}
