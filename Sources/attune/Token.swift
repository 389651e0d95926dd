import ArgumentParser

/// `attune token`
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Signs in as an account, without its password, and prints the access token: for scripts.",
        discussion: "The token works for an hour, as 'Authorization: Bearer …' or in a client's setAuth, on a new session.")

    @OptionGroup var place: PlaceOptions
    @Argument(help: "The account's e-mail address.") var email: String

    func run() async throws {
        try await place.withUser(email) { accounts, user in
            Terminal.print(try await accounts.issueTokens(for: user.id).token)
        }
    }
}
