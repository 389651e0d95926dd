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
        let rows = try await context.rows(search(query, escaped(query)), reading: .all(of: .users))
        return try rows.map { try UserProfile($0, viewer: caller) }
    }

    /// The text as a LIKE pattern that means itself.
    private static func escaped(_ text: String) -> String {
        text.replacing(/[\\%_]/) { "\\" + $0.output }
    }

    /// The text and its LIKE pattern. Names that begin with it come first, then names of which a word does, then the more
    /// similar ones.
    private static let search = Statement(
        "users.search",
        """
        SELECT \(UserProfile.columns)
        FROM users
        WHERE users.removed_at IS NULL
          AND search_key(users.name) LIKE '%' || search_key($2) || '%'
        ORDER BY search_key(users.name) LIKE search_key($2) || '%' DESC,
                 search_key(users.name) LIKE '% ' || search_key($2) || '%' DESC,
                 similarity(search_key(users.name), search_key($1)) DESC,
                 users.name,
                 users.id
        LIMIT 20
        """)
}
