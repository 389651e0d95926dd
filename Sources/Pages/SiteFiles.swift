/// The files of the web pages.
public enum SiteFiles {
    /// By their paths below `Sources/Pages/site`.
    public static let all: [String: String] = embeddedPages
}
