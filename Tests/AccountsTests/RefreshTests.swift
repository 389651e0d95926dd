import Accounts
import Domain
import Store
import Testing

@Suite struct RefreshTests {
    @Test("a refresh token gives other tokens of the same session")
    func firstUse() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.signUp()
            let second = try #require(try await fixture.accounts.refresh(first.refreshToken))
            #expect(second.token != first.token)
            #expect(second.refreshToken != first.refreshToken)
            #expect(try await fixture.principal(second) == fixture.principal(first))
        }
    }

    @Test("a repeat after a lost answer gets the unused successor, however late, with another access token")
    func lostAnswer() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.signUp()
            let lost = try #require(try await fixture.accounts.refresh(first.refreshToken))
            try await fixture.age(first, by: "20 days")
            let repeated = try #require(try await fixture.accounts.refresh(first.refreshToken))
            #expect(repeated.refreshToken == lost.refreshToken)
            #expect(repeated.token != lost.token)
        }
    }

    @Test("within ten seconds of its first use a token whose successor was used makes another one")
    func overlap() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.signUp()
            let second = try #require(try await fixture.accounts.refresh(first.refreshToken))
            let third = try #require(try await fixture.accounts.refresh(second.refreshToken))
            let overlapping = try #require(try await fixture.accounts.refresh(first.refreshToken))
            #expect(Set([first, second, third, overlapping].map(\.refreshToken)).count == 4)
            #expect(try await fixture.accounts.refresh(third.refreshToken) != nil)
        }
    }

    @Test("a token used again later invalidates itself and all its descendants, but not other branches")
    func reuse() async throws {
        try await AccountsFixture.use { fixture in
            let root = try await fixture.signUp()
            let stolen = try #require(try await fixture.accounts.refresh(root.refreshToken))
            let child = try #require(try await fixture.accounts.refresh(stolen.refreshToken))
            let grandchild = try #require(try await fixture.accounts.refresh(child.refreshToken))
            let otherBranch = try #require(try await fixture.accounts.refresh(root.refreshToken))
            try await fixture.age(stolen, by: "11 seconds")
            #expect(try await fixture.accounts.refresh(stolen.refreshToken) == nil)
            #expect(try await fixture.accounts.refresh(grandchild.refreshToken) == nil)
            #expect(try await fixture.accounts.refresh(child.refreshToken) == nil)
            #expect(try await fixture.accounts.refresh(otherBranch.refreshToken) != nil)
        }
    }

    @Test("an unknown or mismatched token ends the session that it names")
    func unknownToken() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            let session = try await fixture.principal(tokens).sessionID
            #expect(try await fixture.accounts.refresh("\(RefreshTokenID(.random()))|\(session)") == nil)
            #expect(try await fixture.accounts.refresh(tokens.refreshToken) == nil)
            await #expect(throws: AuthenticationFailure.self) { try await fixture.principal(tokens) }
            #expect(try await fixture.count("SELECT count(*) FROM refresh_tokens") == 0)

            let other = try await fixture.signIn()
            let otherSession = try await fixture.principal(other).sessionID
            let third = try await fixture.signIn()
            let mismatched = third.refreshToken.split(separator: "|")[0] + "|\(otherSession)"
            #expect(try await fixture.accounts.refresh(String(mismatched)) == nil)
            #expect(try await fixture.accounts.refresh(other.refreshToken) == nil)
            #expect(try await fixture.accounts.refresh(third.refreshToken) != nil)
        }
    }

    @Test("an expired token ends its session")
    func expiredToken() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            try await fixture.run("UPDATE refresh_tokens SET expires_at = now() - interval '1 second'")
            #expect(try await fixture.accounts.refresh(tokens.refreshToken) == nil)
            await #expect(throws: AuthenticationFailure.self) { try await fixture.principal(tokens) }
        }
    }

    @Test("no token outlives its session or its account", arguments: [
        "UPDATE sessions SET expires_at = now() - interval '1 second'",
        "UPDATE sessions SET ended_at = now()",
        "UPDATE users SET removed_at = now(), email = NULL",
    ])
    func deadSession(change: String) async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            try await fixture.run(change)
            #expect(try await fixture.accounts.refresh(tokens.refreshToken) == nil)
        }
    }

    @Test("what is no token at all is a dead token")
    func garbage() async throws {
        try await AccountsFixture.use { fixture in
            for text in ["", "|", "a|b", "dummy", "\u{0}", "refresh_|session_", "😀|😀|😀"] {
                let tokens = try await fixture.accounts.refresh(text)
                #expect(tokens == nil)
            }
        }
    }

    @Test("a token used at once by many callers on several workers has one successor, and all get it")
    func concurrentUse() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            let workers = [fixture.accounts, try fixture.anotherWorker()]
            let pairs = try await withThrowingTaskGroup(of: TokenPair?.self) { group in
                for number in 0..<24 { group.addTask { try await workers[number % 2].refresh(tokens.refreshToken) } }
                return try await group.reduce(into: [TokenPair]()) { pairs, pair in pairs.append(try #require(pair)) }
            }
            #expect(Set(pairs.map(\.refreshToken)).count == 1)
            #expect(Set(pairs.map(\.token)).count == 24)
            #expect(try await fixture.count("SELECT count(*) FROM refresh_tokens") == 2)
        }
    }

    @Test("trouble with the database is thrown, not answered with a sign-out")
    func infrastructureTrouble() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            await fixture.database.close()
            await #expect(throws: (any Error).self) { try await fixture.accounts.refresh(tokens.refreshToken) }
        }
    }

    @Test("refreshing is not limited")
    func notLimited() async throws {
        try await AccountsFixture.use { fixture in
            var tokens = try await fixture.signUp()
            for _ in 0..<100 { tokens = try #require(try await fixture.accounts.refresh(tokens.refreshToken)) }
        }
    }

    @Test("clearing out takes what is out of date and leaves the successors of expired tokens alone")
    func housekeeping() async throws {
        try await AccountsFixture.use { fixture in
            let first = try await fixture.signUp()
            let second = try #require(try await fixture.accounts.refresh(first.refreshToken))
            try await fixture.signIn()
            try await fixture.run("UPDATE sessions SET expires_at = now() - interval '32 days' WHERE id = (SELECT max(id::text)::uuid FROM sessions)")
            try await fixture.run("UPDATE refresh_tokens SET expires_at = now() - interval '1 day' WHERE first_used_at IS NOT NULL")
            try await fixture.run("INSERT INTO rate_limits (key, tokens, updated_at) SELECT 'old/' || n, 1, now() - interval '2 hours' FROM generate_series(1, 25) AS n")
            try await fixture.run("INSERT INTO rate_limits (key, tokens) VALUES ('new', 1)")
            try await fixture.run("INSERT INTO mutation_requests (session_id, request_id, result, created_at) VALUES (uuid_v7(), 1, '', now() - interval '15 days'), (uuid_v7(), 1, '', now() - interval '13 days')")
            let inAMonth = Instant.now() + .seconds(31 * 86_400 + 60)
            let report = try await Housekeeping.run(in: fixture.database, now: inAMonth, batchSize: 10)
            #expect(report == Housekeeping.Report(sessions: 1, refreshTokens: 1, rateLimits: 25, mutationRequests: 1))
            #expect(try await fixture.accounts.refresh(second.refreshToken) != nil)
        }
    }
}

extension AccountsFixture {
    /// Makes it look as if the token had been used first so long ago.
    fileprivate func age(_ tokens: TokenPair, by interval: String) async throws {
        let id = try #require(RefreshToken(tokens.refreshToken)).id
        try await run("UPDATE refresh_tokens SET first_used_at = first_used_at - interval '\(interval)' WHERE id = '\(id.uuid)'")
    }
}
