import Accounts
import Domain
import Store
import Testing

@Suite struct SignInTests {
    @Test("who has signed up is signed in, and can sign in again with another spelling of the address")
    func signUpThenIn() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.principal(fixture.signUp(" Ana@Example.ORG "))
            let second = try await fixture.principal(fixture.signIn("ANA@example.org"))
            #expect(first.userID == second.userID)
            #expect(first.sessionID != second.sessionID)
            #expect(first.role == .user)
        }
    }

    @Test("a wrong address and a wrong password get the same answer")
    func equalTreatment() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            let wrongPassword = await fixture.signInRefusal(password: "wrong password")
            let wrongAddress = await fixture.signInRefusal("nobody@example.org", password: "wrong password")
            #expect(wrongPassword?.code == .unauthorized)
            #expect(wrongPassword == wrongAddress)
        }
    }

    @Test("an account without a password, or a removed one, cannot be signed in to")
    func noPassword() async throws {
        try await AccountsFixture.use { fixture in
            let email = try EmailAddress("ana@example.org", path: "")
            let userID = try await fixture.accounts.createUser(email: email, name: DisplayName("Ana", path: ""), password: nil)
            #expect(await fixture.signInRefusal(password: "")?.code == .unauthorized)
            try await fixture.accounts.removeUser(userID)
            #expect(await fixture.signInRefusal()?.code == .unauthorized)
        }
    }

    @Test("signing up with an address that has an account signs in with its password and is a conflict with another")
    func signUpTwice() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.principal(fixture.signUp())
            #expect(try await fixture.principal(fixture.signUp()).userID == first.userID)
            let refused = await fixture.signUpRefusal(password: "another password")
            #expect(refused == APIError.conflict("Account ana@example.org already exists"))
        }
    }

    @Test("two sign-ups at once with one address make one account")
    func signUpAtOnce() async throws {
        try await AccountsFixture.use { fixture in
            let users = try await withThrowingTaskGroup(of: UserID.self) { group in
                for _ in 0..<4 { group.addTask { try await fixture.principal(fixture.signUp()).userID } }
                return try await group.reduce(into: Set<UserID>()) { $0.insert($1) }
            }
            #expect(users.count == 1)
            #expect(try await fixture.count("SELECT count(*) FROM users") == 1)
        }
    }

    @Test("signing in while signed in ends the old session and its refresh tokens")
    func replacesSession() async throws {
        try await AccountsFixture.use { fixture in
            let old = try await fixture.signUp()
            let principal = try await fixture.principal(old)
            let new = try await fixture.signIn(replacing: principal)
            await #expect(throws: AuthenticationFailure.self) { try await fixture.principal(old) }
            #expect(try await fixture.accounts.refresh(old.refreshToken) == nil)
            #expect(try await fixture.principal(new).userID == principal.userID)
        }
    }

    @Test(
        "input that cannot be right is a validation error",
        arguments: ["", "ana", "@example.org", "ana@", "a na@example.org", "ana\u{0}@example.org", String(repeating: "a", count: 400) + "@x"])
    func badAddress(text: String) {
        #expect(throws: APIError.self) { try EmailAddress(text, path: ".email") }
    }

    @Test("a password has at least 8 characters, whatever they are, and at most 1024 bytes")
    func passwordLength() async throws {
        #expect(throws: APIError.self) { try Password(new: "1234567", path: "") }
        #expect(throws: APIError.self) { try Password(new: String(repeating: "a", count: 1 << 20), path: "") }
        #expect(throws: APIError.self) { try Password(attempt: String(repeating: "a", count: 1025), path: "") }
        try await AccountsFixture.use { fixture in
            try await fixture.signUp(password: "null\u{0}byte🔑")
            try await fixture.signIn(password: "null\u{0}byte🔑")
            #expect(await fixture.signInRefusal(password: "null")?.code == .unauthorized)
        }
    }

    @Test("a password does not show in any printed form")
    func passwordIsHidden() throws {
        let password = try Password(new: "correct horse", path: "")
        var dumped = ""
        dump(password, to: &dumped)
        for text in ["\(password)", String(reflecting: password), dumped] { #expect(!text.contains("horse") && !text.contains("99")) }
    }

    @Test("the administrator is made once, and an existing account is promoted")
    func administrator() async throws {
        try await AccountsFixture.use { fixture in
            let email = try EmailAddress("ana@example.org", path: "")
            let name = try DisplayName("Administrator", path: "")
            let password = try Password(new: "another password", path: "")
            let tokens = try await fixture.signUp()
            let userID = try await fixture.accounts.ensureAdministrator(email: email, name: name, password: password)
            #expect(try await fixture.principal(tokens) == Principal(userID: userID, sessionID: fixture.principal(tokens).sessionID, role: .admin))
            #expect(try await fixture.accounts.user(email)?.name == "Ana")
            let other = try EmailAddress("root@example.org", path: "")
            let made = try await fixture.accounts.ensureAdministrator(email: other, name: name, password: password)
            #expect(try await fixture.accounts.ensureAdministrator(email: other, name: name, password: password) == made)
            #expect(try await fixture.accounts.users().map(\.role) == [.admin, .admin])
        }
    }
}

@Suite struct SignInLimitTests {
    @Test("after ten wrong passwords from one network even the right one has to wait there, and says how long")
    func limitsAnAccount() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            for _ in 0..<10 { #expect(await fixture.signInRefusal(password: "wrong")?.code == .unauthorized) }
            let refused = await fixture.signInRefusal()
            #expect(refused?.code == .rateLimited)
            let wait = try #require(refused?.details["retryAfterSeconds"].flatMap { Int($0) })
            #expect((1...360).contains(wait))
        }
    }

    @Test("an attacker's failures do not lock the victim out elsewhere")
    func noLockOut() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            for _ in 0..<12 { _ = await fixture.signInRefusal(password: "wrong", from: AccountsFixture.elsewhere) }
            #expect(await fixture.signInRefusal(from: AccountsFixture.elsewhere)?.code == .rateLimited)
            try await fixture.signIn()
        }
    }

    @Test("addresses of one IPv6 network count together")
    func ipv6Network() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            for number in 1...10 {
                let address = IPAddress("2001:db8:0:1::\(number)")!
                _ = await fixture.signInRefusal(password: "wrong", from: address)
            }
            #expect(await fixture.signInRefusal(from: IPAddress("2001:db8:0:1:ffff::1")!)?.code == .rateLimited)
            try await fixture.signIn(from: IPAddress("2001:db8:0:2::1")!)
        }
    }

    @Test("the right password forgets the failures before it, and successes count nothing")
    func successClears() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            for _ in 0..<3 {
                for _ in 0..<9 { #expect(await fixture.signInRefusal(password: "wrong")?.code == .unauthorized) }
                try await fixture.signIn()
            }
            for _ in 0..<12 { try await fixture.signIn() }
        }
    }

    @Test("guesses sent all at once get no further than guesses one after the other")
    func parallelGuesses() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            let codes = await withTaskGroup(of: APIError.Code?.self) { group in
                for _ in 0..<40 { group.addTask { await fixture.signInRefusal(password: "wrong")?.code } }
                return await group.reduce(into: [APIError.Code?]()) { $0.append($1) }
            }
            #expect(codes.count { $0 == .unauthorized } == 10)
            #expect(codes.count { $0 == .rateLimited } == 30)
        }
    }

    @Test("a network may fail a hundred times over all accounts")
    func limitsANetwork() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.run("INSERT INTO rate_limits (key, tokens) VALUES ('sign_in/192.0.2.1', 1.5)")
            #expect(await fixture.signInRefusal("a@example.org")?.code == .unauthorized)
            let refused = await fixture.signInRefusal("b@example.org")
            #expect(refused?.code == .rateLimited)
            // The refused attempt did not count against the account.
            #expect(try await fixture.count("SELECT count(*) FROM rate_limits WHERE tokens > 9.9") == 1)
        }
    }

    @Test("a bucket refills continuously")
    func refills() async throws {
        try await AccountsFixture.use { fixture in
            try await fixture.signUp()
            for _ in 0..<11 { _ = await fixture.signInRefusal(password: "wrong") }
            try await fixture.run("UPDATE rate_limits SET updated_at = updated_at - interval '7 minutes'")
            try await fixture.signIn()
        }
    }

    @Test("new accounts are limited per network, and signing in is not a new account")
    func limitsNewAccounts() async throws {
        try await AccountsFixture.use(newAccountsPerHour: 2) { fixture in
            try await fixture.signUp("a@example.org")
            try await fixture.signUp("b@example.org")
            let refused = await fixture.signUpRefusal("c@example.org")
            #expect(refused?.code == .rateLimited)
            #expect(refused?.details["retryAfterSeconds"] != nil)
            try await fixture.signUp("a@example.org")
            try await fixture.signUp("c@example.org", from: AccountsFixture.elsewhere)
        }
    }

    @Test("an installation that allows no new accounts makes none")
    func noNewAccounts() async throws {
        try await AccountsFixture.use(newAccountsPerHour: 0) { fixture in
            let refused = await fixture.signUpRefusal()
            let users = try await fixture.count("SELECT count(*) FROM users")
            #expect(refused?.code == .rateLimited && users == 0)
        }
    }

    @Test("the table of limits holds no e-mail address")
    func keysArePseudonyms() async throws {
        try await AccountsFixture.use { fixture in
            _ = await fixture.signInRefusal()
            let all = try await fixture.count("SELECT count(*) FROM rate_limits")
            let telling = try await fixture.count("SELECT count(*) FROM rate_limits WHERE key LIKE '%ana%'")
            #expect(all == 2 && telling == 0)
        }
    }
}
