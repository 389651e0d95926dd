/// What bios and pictures may be; for names see `DisplayName`.
public enum ProfileRules {
    public static let maximumBioBytes = 16 << 10
    public static let maximumAvatarURLBytes = 8 << 10

    public static func checkedBio(_ bio: String) throws(APIError) -> String {
        guard bio.utf8.count <= maximumBioBytes else {
            throw .invalid(".bio", "A bio may have at most \(maximumBioBytes) bytes.")
        }
        return bio
    }

    /// An empty text, or an absolute web address: browsers load it, so `javascript:` and the like are not let in.
    public static func checkedAvatarURL(_ url: String) throws(APIError) -> String {
        guard url.utf8.count <= maximumAvatarURLBytes else {
            throw .invalid(".avatarUrl", "An avatarUrl may have at most \(maximumAvatarURLBytes) bytes.")
        }
        let isWebAddress = ["https://", "http://"].contains { url.lowercased().hasPrefix($0) && url.utf8.count > $0.utf8.count }
        guard url.isEmpty || (isWebAddress && !url.contains { $0.isWhitespace || $0.isNewline }) else {
            throw .invalid(".avatarUrl", "An avatarUrl begins with https:// or http:// and has no blanks.")
        }
        return url
    }
}
