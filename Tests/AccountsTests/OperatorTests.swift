import Accounts
import Domain
import Postgres
import Store
import Testing

@Suite("The operator")
struct OperatorTests {
    /// The message of the `conflict` that `body` ends in; nil when it ends in something else.
    private func conflict(_ body: () async throws -> Void) async -> String? {
        do { try await body() } catch let error as APIError where error.code == .conflict { return error.message } catch {}
        return nil
    }

    @Test("cannot remove or demote the last administrator, and is told what to do first")
    func lastAdministrator() async throws {
        try await AccountsFixture.use { fixture in
            let accounts = fixture.accounts
            let ana = try await fixture.principal(fixture.signUp()).userID
            let ben = try await fixture.principal(fixture.signUp("ben@example.org")).userID
            // Who is none stays none.
            try await accounts.setRole(.user, of: ana)
            try await accounts.setRole(.admin, of: ana)
            let refusals = [
                await conflict { try await accounts.removeUser(ana) },
                await conflict { try await accounts.setRole(.user, of: ana) },
            ]
            #expect(refusals.allSatisfy { $0?.contains("attune user promote EMAIL") == true })
            try await accounts.setRole(.admin, of: ben)
            try await accounts.setRole(.user, of: ana)
            try await accounts.removeUser(ana)
            let lastRefusal = await conflict { try await accounts.removeUser(ben) }
            #expect(lastRefusal != nil)
        }
    }

    @Test("two who demote and remove the two administrators at once leave one", arguments: 0..<5)
    func twoAtOnce(_ round: Int) async throws {
        try await AccountsFixture.use { fixture in
            let users = [
                try await fixture.principal(fixture.signUp()).userID,
                try await fixture.principal(fixture.signUp("ben@example.org")).userID,
            ]
            for user in users { try await fixture.accounts.setRole(.admin, of: user) }
            async let demoted = conflict { try await fixture.accounts.setRole(.user, of: users[round % 2]) }
            async let removed = conflict { try await fixture.accounts.removeUser(users[1 - round % 2]) }
            let refusals = await [demoted, removed].count { $0 != nil }
            let left = try await fixture.count("SELECT count(*) FROM users WHERE role = 'admin' AND removed_at IS NULL")
            #expect(refusals == 1 && left == 1)
        }
    }

    @Test("sees the open sessions of an account, with when each was last active, and ends one or all of them")
    func sessions() async throws {
        try await AccountsFixture.use { fixture in
            let accounts = fixture.accounts
            var principals = [try await fixture.principal(fixture.signUp())]
            for _ in 0..<3 { principals.append(try await fixture.principal(fixture.signIn())) }
            let other = try await fixture.principal(fixture.signUp("ben@example.org"))
            let user = principals[0].userID
            try await accounts.signOut(principals[0])
            try await fixture.run(
                "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = '\(principals[1].sessionID.uuid)'")
            try await fixture.run(
                """
                INSERT INTO visits (session_id, user_id, started_at, last_active_at)
                SELECT '\(principals[2].sessionID.uuid)', '\(user.uuid)', to_timestamp(hour * 3600), to_timestamp(hour * 3600 + 60)
                FROM generate_series(1, 3) AS hour
                """)
            let open = try await accounts.openSessions(of: user)
            #expect(open.map(\.id) == [principals[3].sessionID, principals[2].sessionID])
            #expect(open.map(\.lastActiveAt) == [nil, Instant(microseconds: 10_860_000_000)])
            #expect(open.allSatisfy { $0.expiresAt - $0.signedInAt == .seconds(30 * 86_400) })

            try await accounts.endSession(principals[3].sessionID)
            await #expect(throws: APIError.self) { try await accounts.endSession(principals[3].sessionID) }
            await #expect(throws: APIError.self) { try await accounts.endSession(SessionID(.random())) }
            let ended = [try await accounts.signOut(user), try await accounts.signOut(user)]
            #expect(ended == [1, 0])
            let left = try await accounts.openSessions(of: user)
            let others = try await accounts.openSessions(of: other.userID)
            #expect(left.isEmpty && others.count == 1)
            let tokens = try await fixture.count(
                "SELECT count(*) FROM refresh_tokens JOIN sessions ON sessions.id = session_id WHERE user_id = '\(user.uuid)'")
            let events = try await fixture.count(
                """
                SELECT count(*)
                FROM security_events
                WHERE type = 'session_expired' AND severity = 'medium' AND user_id = '\(user.uuid)'
                  AND metadata ->> 'source' = 'attune:operator'
                """)
            let eventsOfOne = try await fixture.count(
                """
                SELECT count(*)
                FROM security_events
                WHERE (metadata ->> 'context')::jsonb ->> 'session' = '\(principals[3].sessionID)'
                """)
            #expect(tokens == 0 && events == 2 && eventsOfOne == 1)
        }
    }
}
