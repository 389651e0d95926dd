import Crypto
import Domain
import FoundationEssentials
import _CryptoExtras

/// What a genuine access token says.
public struct AccessToken: Hashable, Sendable {
    public let userID: UserID
    public let sessionID: SessionID
    public let expiresAt: Instant

    /// Clocks of different machines may differ by so much.
    static let tolerance = Duration.seconds(5)

    func hasExpired(at now: Instant) -> Bool { expiresAt + Self.tolerance < now }
}

/// Issues and verifies the JWTs of convex-protocol.md 6.3.
///
/// One algorithm, RS256, and no choice of it by the token: what a JWT library would add is mostly algorithms to refuse.
struct AccessTokens: Sendable {
    private struct Header: Codable {
        var alg: String
        var kid: String?
        var typ: String?
        var crit: [String]?
    }

    private struct Claims: Codable {
        var iss: String
        var sub: String
        var aud: Audience
        var iat: Int64
        var exp: Int64
        /// Two tokens of one second would otherwise be the same string, which stock clients take for "no newer token".
        var jti: String?
    }

    /// One name, or a list of them.
    private enum Audience: Codable, Equatable {
        case one(String)
        case several([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let name = try? container.decode(String.self) {
                self = .one(name)
            } else {
                self = .several(try container.decode([String].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .one(let name): try container.encode(name)
            case .several(let names): try container.encode(names)
            }
        }
    }

    static let audience = "convex"
    static let lifetime = Duration.seconds(3600)
    /// Ours have about 800 bytes.
    private static let maximumLength = 4096

    let issuer: String
    let keys: SigningKeys

    func issue(for userID: UserID, session: SessionID, at now: Instant) throws -> String {
        let key = keys.newest
        let claims = Claims(
            iss: issuer, sub: "\(userID)|\(session)", aud: .one(Self.audience), iat: now.seconds,
            exp: (now + Self.lifetime).seconds, jti: UUIDBits.random().description)
        let header = Header(alg: "RS256", kid: key.id, typ: "JWT")
        let content = try Base64URL.encode(JSONEncoder().encode(header)) + "." + Base64URL.encode(JSONEncoder().encode(claims))
        let signature = try key.key.signature(for: SHA256.hash(data: Data(content.utf8)), padding: .insecurePKCS1v1_5)
        return content + "." + Base64URL.encode(signature.rawRepresentation)
    }

    /// Throws `AuthenticationFailure`; another error when the keys cannot be read.
    func verify(_ token: String, at now: Instant) throws -> AccessToken {
        guard token.utf8.count <= Self.maximumLength else { throw AuthenticationFailure.malformed }
        let parts = Array(token.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3,
            let header = Self.decode(Header.self, parts[0]),
            let claims = Self.decode(Claims.self, parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw AuthenticationFailure.malformed }
        // Before the key is looked up: strangers' tokens do not make us read files.
        guard claims.iss == issuer, claims.aud == .one(Self.audience) || claims.aud == .several([Self.audience]) else {
            throw AuthenticationFailure.foreign
        }
        guard header.alg == "RS256", header.crit == nil, let keyID = header.kid, let key = try keys.key(keyID) else {
            throw AuthenticationFailure.forged
        }
        let signed = parts[0] + [UInt8(ascii: ".")] + parts[1]
        guard
            key.publicKey.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: Data(signed)),
                padding: .insecurePKCS1v1_5)
        else { throw AuthenticationFailure.forged }

        let subject = claims.sub.split(separator: "|", omittingEmptySubsequences: false)
        guard subject.count == 2, let userID = UserID(subject[0]), let sessionID = SessionID(subject[1]),
            claims.iat < claims.exp, let expiry = Self.instant(claims.exp)
        else { throw AuthenticationFailure.malformed }
        let accessToken = AccessToken(userID: userID, sessionID: sessionID, expiresAt: expiry)
        guard !accessToken.hasExpired(at: now) else { throw AuthenticationFailure.expired }
        return accessToken
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ digits: ArraySlice<UInt8>) -> Value? {
        Base64URL.decode(digits).flatMap { try? JSONDecoder().decode(type, from: $0) }
    }

    private static func instant(_ seconds: Int64) -> Instant? {
        // Up to the year 9999.
        guard (0...253_402_300_799).contains(seconds) else { return nil }
        return Instant(microseconds: seconds * 1_000_000)
    }
}
