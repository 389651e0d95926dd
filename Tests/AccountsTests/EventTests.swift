import Accounts
import Domain
import Store
import Testing
import Wire

/// What accounts report of what people and operators do.
@Suite struct EventTests {
    private func context(_ event: ReportedEvent?) throws -> JSON {
        try JSON(parsing: try #require(event?.context).utf8)
    }

    @Test("a new account, its sign-ins and its sign-out are events of the user and the session")
    func signingInAndOut() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.principal(fixture.signUp())
            let second = try await fixture.principal(fixture.signIn(replacing: first))
            try await fixture.accounts.signOut(second)
            let events = fixture.reporter.events
            #expect(events.map(\.type) == [
                SecurityEventType.userCreated, SecurityEventType.loginSuccess, SecurityEventType.sessionEnded,
                SecurityEventType.loginSuccess, SecurityEventType.sessionEnded,
            ])
            #expect(events.allSatisfy { $0.severity == .low && $0.userID == first.userID && $0.ip == AccountsFixture.home })
            let sessions = try events.dropFirst().map { try context($0)["session"]?.stringValue }
            #expect(sessions == [first, first, second, second].map { "\($0.sessionID)" })
        }
    }

    @Test("a wrong password is an event of its user; a wrong address is one of its pseudonym; neither holds what was typed")
    func failures() async throws {
        try await AccountsFixture.use { fixture in
            let user = try await fixture.principal(fixture.signUp()).userID
            _ = await fixture.signInRefusal(password: "wrong password")
            _ = await fixture.signUpRefusal(password: "wrong password")
            _ = await fixture.signInRefusal("nobody@example.org", password: "wrong password")
            let events = fixture.reporter.events.filter { $0.type == SecurityEventType.loginFail }
            #expect(events.map(\.userID) == [user, user, nil])
            #expect(events.allSatisfy { $0.severity == .medium && $0.ip == AccountsFixture.home })
            let accounts = try events.map { try context($0)["account"]?.stringValue }
            #expect(accounts[0] == accounts[1] && accounts[0] != accounts[2] && accounts[2] != nil)
            let network = try context(events[2])["network"]?.stringValue
            #expect(network == "192.0.2.1")
            for event in fixture.reporter.events {
                let text = "\(event)"
                #expect(!text.contains("@") && !text.contains("wrong password"), "\(text)")
            }
        }
    }

    @Test("guesses that the limits refuse are events, the first ten each minute one by one")
    func tooManyFailures() async throws {
        try await AccountsFixture.use { fixture in
            let user = try await fixture.principal(fixture.signUp()).userID
            for _ in 0..<25 { _ = await fixture.signInRefusal(password: "wrong") }
            let events = fixture.reporter.events
            let refused = events.filter { $0.type == SecurityEventType.loginFailMax }
            #expect(events.count { $0.type == SecurityEventType.loginFail } == 10 && refused.count == 10)
            #expect(refused.allSatisfy { $0.severity == .high && $0.userID == user })
            let guesses = refused + events.filter { $0.type == SecurityEventType.loginFail }
            let accounts = Set(try guesses.map { try context($0)["account"]?.stringValue })
            #expect(accounts.count == 1)
        }
    }

    @Test("a network that makes too many accounts is an event")
    func tooManyAccounts() async throws {
        try await AccountsFixture.use(newAccountsPerHour: 0) { fixture in
            _ = await fixture.signUpRefusal()
            let events = fixture.reporter.events
            #expect(events.map(\.type) == [SecurityEventType.rateLimited])
            let network = try context(events.first)["network"]?.stringValue
            #expect(network == "192.0.2.1")
        }
    }

    @Test("a refresh token's reuse is an event of its user and session; a lost answer and an overlap are none")
    func reuse() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            let principal = try await fixture.principal(tokens)
            let second = try #require(try await fixture.accounts.refresh(tokens.refreshToken))
            _ = try await fixture.accounts.refresh(tokens.refreshToken)
            _ = try await fixture.accounts.refresh(second.refreshToken)
            let overlapping = try #require(try await fixture.accounts.refresh(tokens.refreshToken))
            _ = try await fixture.accounts.refresh(overlapping.refreshToken)
            #expect(!fixture.reporter.events.contains { $0.type == SecurityEventType.tokenReuse })
            try await fixture.run("UPDATE refresh_tokens SET first_used_at = first_used_at - interval '11 seconds'")
            #expect(try await fixture.accounts.refresh(tokens.refreshToken) == nil)
            let event = try #require(fixture.reporter.events.last)
            #expect(event.type == SecurityEventType.tokenReuse && event.severity == .high && event.userID == principal.userID)
            let session = try context(event)["session"]?.stringValue
            #expect(session == "\(principal.sessionID)")
        }
    }

    @Test("a refresh token that is not the session's own ends the session, which is an event; a token of no session is none")
    func deadTokens() async throws {
        try await AccountsFixture.use { fixture in
            let principal = try await fixture.principal(fixture.signUp())
            let before = fixture.reporter.events.count
            _ = try await fixture.accounts.refresh("\(RefreshTokenID(.random()))|\(SessionID(.random()))")
            _ = try await fixture.accounts.refresh("nonsense")
            #expect(fixture.reporter.events.count == before)
            let foreign = "\(RefreshTokenID(.random()))|\(principal.sessionID)"
            for _ in 0..<2 { _ = try await fixture.accounts.refresh(foreign) }
            #expect(fixture.reporter.events.count == before + 1)
            #expect(fixture.reporter.events.last?.type == SecurityEventType.sessionEnded)
        }
    }

    @Test("what the operator does is stored with its effect, and what fails is not")
    func operatorsDeeds() async throws {
        try await AccountsFixture.use { fixture in
            let accounts = fixture.accounts
            let email = try EmailAddress("ana@example.org", path: "")
            let name = try DisplayName("Ana", path: "")
            try await fixture.run("INSERT INTO users (email, name, role) VALUES ('olga@example.org', 'Olga', 'admin')")
            let user = try await accounts.createUser(email: email, name: name, password: nil)
            await #expect(throws: APIError.self) { try await accounts.createUser(email: email, name: name, password: nil) }
            try await accounts.setRole(.admin, of: user)
            _ = try await accounts.issueTokens(for: user)
            try await accounts.removeUser(user)
            for _ in 0..<2 {
                await #expect(throws: APIError.self) { try await accounts.removeUser(user) }
                await #expect(throws: APIError.self) { try await accounts.setRole(.user, of: user) }
                await #expect(throws: APIError.self) { try await accounts.issueTokens(for: user) }
            }
            let stored = try await fixture.count(
                """
                SELECT count(*)
                FROM security_events
                WHERE user_id = '\(user.uuid)'
                  AND metadata ->> 'source' = 'attune:operator'
                  AND (type, severity) IN
                      (('user_created', 'low'), ('authz_change', 'medium'), ('session_created', 'medium'),
                       ('user_deleted', 'medium'))
                """)
            let all = try await fixture.count("SELECT count(*) FROM security_events")
            #expect(stored == 4 && all == 4 && fixture.reporter.events.isEmpty)
        }
    }
}
