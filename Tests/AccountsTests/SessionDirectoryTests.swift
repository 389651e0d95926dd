import Accounts
import Domain
import Postgres
import Store
import TestSupport
import Testing

@Suite struct SessionDirectoryTests {
    private func isLive(_ accounts: Accounts, _ tokens: TokenPair) async throws -> Bool {
        do {
            _ = try await accounts.sessions.caller(forToken: tokens.token)
            return true
        } catch is AuthenticationFailure {
            return false
        }
    }

    @Test("without the feed every look-up asks the database")
    func uncached() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            #expect(try await isLive(fixture.accounts, tokens))
            try await fixture.run("UPDATE sessions SET ended_at = now()")
            #expect(try await !isLive(fixture.accounts, tokens))
        }
    }

    @Test("with the feed a session is remembered until the feed says that it, its user, or everything changed", arguments: [
        "session", "user", "everything", "feed lost", "feed back",
    ])
    func cached(invalidation: String) async throws {
        try await AccountsFixture.use { fixture in
            let sessions = fixture.accounts.sessions
            sessions.feedIsCurrent(true)
            let tokens = try await fixture.signUp()
            let principal = try await fixture.principal(tokens)
            try await fixture.run("UPDATE sessions SET ended_at = now()")
            // Remembered: the database is not asked.
            #expect(try await isLive(fixture.accounts, tokens))
            sessions.sessionsChanged([SessionID(.random())])
            sessions.usersChanged([UserID(.random())])
            #expect(try await isLive(fixture.accounts, tokens))
            switch invalidation {
            case "session": sessions.sessionsChanged([principal.sessionID])
            case "user": sessions.usersChanged([principal.userID])
            case "everything": sessions.everythingChanged()
            case "feed lost": sessions.feedIsCurrent(false)
            default: sessions.feedIsCurrent(true)
            }
            #expect(try await !isLive(fixture.accounts, tokens))
        }
    }

    @Test("what was read before an invalidation is not remembered after it")
    func lookUpRace() async throws {
        try await AccountsFixture.use { fixture in
            let sessions = fixture.accounts.sessions
            let tokens = try await fixture.signUp()
            let principal = try await fixture.principal(tokens)
            sessions.feedIsCurrent(true)
            // The look-up is held up in the database by a lock on the whole table, with the invalidation in between.
            let lookUp = try await fixture.database.withTransaction { transaction in
                _ = try await transaction.execute(Statement("test", "LOCK TABLE users IN ACCESS EXCLUSIVE MODE")())
                let lookUp = Task { try await fixture.accounts.sessions.caller(forToken: tokens.token) }
                try await fixture.waitForLockedStatement()
                sessions.sessionsChanged([principal.sessionID])
                return lookUp
            }
            _ = try await lookUp.value
            try await fixture.run("UPDATE sessions SET ended_at = now()")
            #expect(try await !isLive(fixture.accounts, tokens))
        }
    }

    @Test("a signed-out token is refused at once, although the feed has not spoken")
    func signOut() async throws {
        try await AccountsFixture.use { fixture in
            fixture.accounts.sessions.feedIsCurrent(true)
            let tokens = try await fixture.signUp()
            try await fixture.accounts.signOut(fixture.principal(tokens))
            #expect(try await !isLive(fixture.accounts, tokens))
            #expect(try await fixture.accounts.refresh(tokens.refreshToken) == nil)
            #expect(try await fixture.count("SELECT count(*) FROM refresh_tokens") == 0)
        }
    }

    @Test("a remembered session ends at its own time too")
    func sessionExpiry() async throws {
        try await AccountsFixture.use { fixture in
            fixture.accounts.sessions.feedIsCurrent(true)
            let tokens = try await fixture.signUp()
            try await fixture.run("UPDATE sessions SET expires_at = now() + interval '10 minutes'")
            #expect(try await isLive(fixture.accounts, tokens))
            fixture.clock.advance(by: .seconds(1800))
            #expect(try await !isLive(fixture.accounts, tokens))
        }
    }

    @Test("a snapshot tells which of many sessions are live, and what their users may do in it")
    func manySessions() async throws {
        try await AccountsFixture.use { fixture in
            let ana = try await fixture.principal(fixture.signUp())
            let ben = try await fixture.principal(fixture.signUp("ben@example.org"))
            let removed = try await fixture.principal(fixture.signUp("cleo@example.org"))
            let ended = try await fixture.principal(fixture.signUp("dora@example.org"))
            try await fixture.accounts.setRole(.admin, of: ben.userID)
            try await fixture.accounts.removeUser(removed.userID)
            try await fixture.accounts.signOut(ended)
            let all = [ana, ben, removed, ended].map(\.sessionID) + [SessionID(.random())]
            let current = try await fixture.database.withTransaction(.snapshot) { snapshot in
                try await fixture.accounts.sessions.current(all, in: snapshot)
            }
            #expect(current == [
                ana.sessionID: ana,
                ben.sessionID: Principal(userID: ben.userID, sessionID: ben.sessionID, role: .admin),
            ])
        }
    }

    @Test("trouble with the database is not taken for a bad token")
    func infrastructureTrouble() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            await fixture.database.close()
            await #expect(throws: PostgresError.self) { try await isLive(fixture.accounts, tokens) }
        }
    }
}

extension AccountsFixture {
    /// Returns once a statement of this database waits for a lock.
    fileprivate func waitForLockedStatement() async throws {
        try await eventually("a statement waits for a lock") {
            try await count(
                """
                SELECT count(*)
                FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'
                """) > 0
        }
    }
}
