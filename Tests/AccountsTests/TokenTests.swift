import Crypto
import Domain
import Foundation
import Store
import Testing
import _CryptoExtras

@testable import Accounts

@Suite struct TokenTests {
    /// Signs whatever header and claims a forger likes.
    private func token(header: String, claims: String, key: _RSA.Signing.PrivateKey?) throws -> String {
        let content = Base64URL.encode(header.utf8) + "." + Base64URL.encode(claims.utf8)
        guard let key else { return content + "." }
        let signature = try key.signature(for: SHA256.hash(data: Data(content.utf8)), padding: .insecurePKCS1v1_5)
        return content + "." + Base64URL.encode(signature.rawRepresentation)
    }

    private func claims(
        _ principal: Principal, iss: String = AccountsFixture.issuer, aud: String = #""convex""#, sub: String? = nil, exp: Int64? = nil,
        now: Instant
    ) -> String {
        #"{"iss":"\#(iss)","aud":\#(aud),"sub":"\#(sub ?? "\(principal.userID)|\(principal.sessionID)")","iat":\#(now.seconds - 3600),"exp":\#(exp ?? now.seconds + 100)}"#
    }

    private func failure(_ accounts: Accounts, _ token: String) async throws -> AuthenticationFailure.Code? {
        do {
            _ = try await accounts.sessions.caller(forToken: token)
            return nil
        } catch let failure as AuthenticationFailure {
            return failure.code
        }
    }

    @Test("only our own unexpired tokens for our audience are accepted")
    func forgeries() async throws {
        try await AccountsFixture.use { fixture in
            let principal = try await fixture.principal(fixture.signUp())
            let now = fixture.clock.now
            let key = fixture.keys.newest
            let good = #"{"alg":"RS256","kid":"\#(key.id)"}"#
            let foreignKey = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            func check(_ token: String, _ expected: AuthenticationFailure.Code?, _ name: Comment) async throws {
                let code = try await failure(fixture.accounts, token)
                #expect(code == expected, name)
            }
            let ours = claims(principal, now: now)
            try await check(token(header: good, claims: ours, key: key.key), nil, "genuine")
            try await check(token(header: good, claims: claims(principal, aud: #"["convex"]"#, now: now), key: key.key), nil, "list of one audience")
            try await check(token(header: good, claims: ours, key: foreignKey), .unauthenticated, "another key")
            try await check(token(header: #"{"alg":"none","kid":"\#(key.id)"}"#, claims: ours, key: nil), .unauthenticated, "none")
            try await check(token(header: #"{"alg":"none","kid":"\#(key.id)"}"#, claims: ours, key: key.key), .unauthenticated, "none, signed")
            try await check(token(header: #"{"alg":"HS256","kid":"\#(key.id)"}"#, claims: ours, key: key.key), .unauthenticated, "HS256")
            try await check(token(header: #"{"alg":"RS256"}"#, claims: ours, key: key.key), .unauthenticated, "no kid")
            try await check(token(header: #"{"alg":"RS256","kid":"x"}"#, claims: ours, key: key.key), .unauthenticated, "unknown kid")
            try await check(token(header: #"{"alg":"RS256","kid":"\#(key.id)","crit":["b64"]}"#, claims: ours, key: key.key), .unauthenticated, "crit")
            try await check(token(header: good, claims: claims(principal, iss: "https://evil.example", now: now), key: key.key), .noAuthProvider, "issuer")
            try await check(token(header: good, claims: claims(principal, aud: #""other""#, now: now), key: key.key), .noAuthProvider, "audience")
            try await check(token(header: good, claims: claims(principal, aud: #"["convex","other"]"#, now: now), key: key.key), .noAuthProvider, "audiences")
            try await check(token(header: good, claims: claims(principal, exp: now.seconds - 6, now: now), key: key.key), .unauthenticated, "expired")
            try await check(token(header: good, claims: claims(principal, exp: now.seconds - 3, now: now), key: key.key), nil, "tolerance")
            try await check(token(header: good, claims: claims(principal, exp: .max, now: now), key: key.key), .invalidAuthHeader, "for ever")
            try await check(token(header: good, claims: claims(principal, sub: "\(principal.userID)", now: now), key: key.key), .invalidAuthHeader, "sub")
            try await check(
                token(header: good, claims: claims(principal, sub: "\(UserID(.random()))|\(principal.sessionID)", now: now), key: key.key),
                .unauthenticated, "another user's session")
            for missing in ["iat", "exp", "iss", "aud", "sub"] {
                let claims = ours.replacing("\"\(missing)\"", with: "\"x\"")
                try await check(token(header: good, claims: claims, key: key.key), .invalidAuthHeader, "no \(missing)")
            }
            for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "\u{0}", "😀.😀.😀", String(repeating: "a.", count: 1 << 20)] {
                try await check(text, .invalidAuthHeader, "garbage")
            }
        }
    }

    @Test("a token changed anywhere is refused, also while the genuine one is remembered")
    func tampering() async throws {
        try await AccountsFixture.use { fixture in
            let token = try await fixture.signUp().token
            #expect(try await failure(fixture.accounts, token) == nil)
            for part in 0..<3 {
                var parts = token.split(separator: ".").map(String.init)
                let middle = parts[part].index(parts[part].startIndex, offsetBy: parts[part].count / 2)
                parts[part].replaceSubrange(middle...middle, with: parts[part][middle] == "A" ? "B" : "A")
                #expect(try await failure(fixture.accounts, parts.joined(separator: ".")) != nil)
            }
        }
    }

    @Test("a remembered token expires too")
    func expiry() async throws {
        try await AccountsFixture.use { fixture in
            let tokens = try await fixture.signUp()
            let caller = try await fixture.accounts.sessions.caller(forToken: tokens.token)
            #expect((.seconds(3599) ... .seconds(3600)).contains(caller.tokenExpiresAt - fixture.clock.now))
            fixture.clock.advance(by: .seconds(3600))
            #expect(try await failure(fixture.accounts, tokens.token) == nil)
            fixture.clock.advance(by: .seconds(7))
            #expect(try await failure(fixture.accounts, tokens.token) == .unauthenticated)
        }
    }

    @Test("processes that start at once agree on one key and one secret, readable by nobody else")
    func keyRace() async throws {
        try await AccountsFixture.use { fixture in
            let folder = fixture.dataFolder + "/fresh"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let seen = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        let keys = try SigningKeys(dataFolder: folder)
                        return keys.newest.id + "\(keys.cursorSecret)"
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(seen.count == 1)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/keys").sorted()
            #expect(names == ["cursor.key", "signing-0001.pem"])
            for name in ["", "/cursor.key", "/signing-0001.pem"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/keys" + name)
                #expect((attributes[.posixPermissions] as? Int) == (name.isEmpty ? 0o700 : 0o600))
            }
        }
    }

    @Test("after a rotation the new key signs, old tokens stay good, and other workers find the new key")
    func rotation() async throws {
        try await AccountsFixture.use { fixture in
            let old = try await fixture.signUp()
            let before = fixture.keys.newest.id
            let other = try fixture.anotherWorker()
            try fixture.keys.rotate()
            #expect(fixture.keys.newest.id != before)
            #expect(try await failure(fixture.accounts, old.token) == nil)
            let new = try #require(try await fixture.accounts.refresh(old.refreshToken))
            try other.keys.reload()
            #expect(try await failure(other, new.token) == nil)
            #expect(other.keys.newest.id == fixture.keys.newest.id)
        }
    }

    @Test("the key set holds the public halves, the newest key's among them, and nothing of the private ones")
    func keySet() async throws {
        struct KeySet: Decodable {
            struct Key: Decodable, Equatable { var use, kty, alg, kid, n, e: String }
            var keys: [Key]
        }
        try await AccountsFixture.use { fixture in
            try fixture.keys.rotate()
            let document = Data(fixture.keys.keySetDocument)
            let keys = try JSONDecoder().decode(KeySet.self, from: document).keys
            #expect(keys.count == 2)
            let newest = fixture.keys.newest
            #expect(keys[1] == KeySet.Key(use: "sig", kty: "RSA", alg: "RS256", kid: newest.id, n: newest.modulus, e: "AQAB"))
            #expect(Base64URL.decode(newest.modulus.utf8)?.count == 256)
            let names = try JSONSerialization.jsonObject(with: document) as? [String: [[String: String]]]
            #expect(names?["keys"]?.allSatisfy { Set($0.keys) == ["use", "kty", "alg", "kid", "n", "e"] } == true)

            let discovery = try JSONDecoder().decode([String: String].self, from: Data(fixture.accounts.discoveryDocument))
            #expect(discovery["issuer"] == AccountsFixture.issuer)
            #expect(discovery["jwks_uri"] == AccountsFixture.issuer + "/.well-known/jwks.json")
        }
    }
}

@Suite struct PasswordHasherTests {
    @Test("the same password gets another hash each time, with OWASP's costs, and both are its own")
    func hashes() async throws {
        let hasher = PasswordHasher(threads: 1)
        let password = try Password(new: "correct horse", path: "")
        let hashes = [try await hasher.hash(password), try await hasher.hash(password)]
        #expect(Set(hashes).count == 2)
        for hash in hashes {
            #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
            #expect(try await hasher.verify(password, against: hash))
            #expect(try await !hasher.verify(Password(new: "correct house", path: ""), against: hash))
        }
    }

    @Test("without an account no password is right, and a hash that is none is an error")
    func decoy() async throws {
        let hasher = PasswordHasher(threads: 1)
        let password = try Password(new: "correct horse", path: "")
        #expect(try await !hasher.verify(password, against: nil))
        await #expect(throws: PasswordHasher.Failure.self) { try await hasher.verify(password, against: "plain text") }
    }

    @Test("past the queue's bound callers are told at once to come back")
    func bound() async throws {
        let hasher = PasswordHasher(threads: 1, waiting: 3)
        let password = try Password(new: "correct horse", path: "")
        let outcomes = await withTaskGroup(of: Result<String, any Error>.self) { group in
            for _ in 0..<40 {
                group.addTask {
                    do { return .success(try await hasher.hash(password)) } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: [Result<String, any Error>]()) { $0.append($1) }
        }
        let refused = outcomes.filter { if case .failure(let error as APIError) = $0 { error.code == .rateLimited } else { false } }
        let hashed = outcomes.filter { if case .success = $0 { true } else { false } }
        #expect(!refused.isEmpty && hashed.count >= 3 && refused.count + hashed.count == 40)
        #expect(try await hasher.verify(password, against: hasher.hash(password)))
    }
}
