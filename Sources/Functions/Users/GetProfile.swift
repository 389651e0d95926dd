import Domain
import Models
import Postgres
import Registry
import Store

/// users:getProfile
enum GetProfile {
    static let function = FunctionDefinition.query(
        "users:getProfile", "A user's profile; with the e-mail address for the user and for administrators only.",
        access: .signedIn,
        arguments: Arguments(.required("userId", UserID.self)),
        returns: UserProfile.self
    ) { context, userID in
        let rows = try await context.rows(find(userID), reading: .user(userID))
        guard let row = rows.first else { throw APIError.notFound("There is no such user.") }
        return try UserProfile(row, viewer: context.principal)
    }

    /// Removed accounts are found too: their conversations still show them, as what is left of them.
    private static let find = Statement(
        "users.profile",
        """
        SELECT \(UserProfile.columns)
        FROM users
        WHERE users.id = $1
        """)
}
