import Domain
import Models
import Postgres
import Registry
import Store

/// users:updateProfile
enum UpdateProfile {
    static let function = FunctionDefinition.mutation(
        "users:updateProfile", "Changes the given fields of the caller's own profile; an empty bio or avatarUrl removes it.",
        access: .signedIn,
        arguments: Arguments(.optional("name", String.self), .optional("bio", String.self), .optional("avatarUrl", String.self)),
        returns: UserProfile.self
    ) { context, arguments in
        let (newName, newBio, newAvatarURL) = arguments
        let caller = try context.principal
        let name = try newName.map { try DisplayName($0, path: ".name").text }
        let bio = try newBio.map(ProfileRules.checkedBio)
        let avatarURL = try newAvatarURL.map(ProfileRules.checkedAvatarURL)
        guard let row = try await context.run(update(caller.userID, name, bio, avatarURL)).first else {
            throw APIError.notFound("This account has been removed.")
        }
        return try UserProfile(row, viewer: caller)
    }

    /// User, then the new values, of which NULL leaves a field as it is and an empty text removes it.
    private static let update = Statement(
        "users.update_profile",
        """
        UPDATE users
        SET name = COALESCE($2, name),
            bio = NULLIF(COALESCE($3, bio), ''),
            avatar_url = NULLIF(COALESCE($4, avatar_url), '')
        WHERE users.id = $1
          AND users.removed_at IS NULL
        RETURNING \(UserProfile.columns)
        """)
}
