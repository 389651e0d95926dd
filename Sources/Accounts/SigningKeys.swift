import Crypto
import Domain
import FoundationEssentials
import Synchronization
import _CryptoExtras

/// The secrets of one installation, in `<data folder>/keys`: RSA keys that sign access tokens, and a secret for cursors.
///
/// `signing-0001.pem`, `signing-0002.pem`, …: the last one signs, all verify. Deleting an old file, an hour after the next
/// one came or later, retires it at the next start. All workers of an installation share the folder; several may make it
/// at the same time.
public final class SigningKeys: Sendable {
    struct SigningKey: Sendable {
        /// The public key's thumbprint (RFC 7638).
        let id: String
        let key: _RSA.Signing.PrivateKey
        let publicKey: _RSA.Signing.PublicKey
        /// `n` and `e` of the public key, as a JWKS has them.
        let modulus: String
        let exponent: String
    }

    private struct State {
        /// Oldest first, never empty.
        var keys: [SigningKey]
        var reloadedAt: ContinuousClock.Instant
    }

    private enum Problem: Error, CustomStringConvertible {
        case malformed(String)
        var description: String {
            switch self {
            case .malformed(let name): "\(name) in the folder of keys does not hold what it should"
            }
        }
    }

    private static let cursorFile = "cursor.key"
    private static let reloadInterval = Duration.seconds(5)

    /// 32 random bytes, the same in all workers: makes pagination cursors tamper-evident.
    public let cursorSecret: [UInt8]
    /// Keyed, so that who reads the table of limits cannot try addresses against it.
    let pseudonymSecret: SymmetricKey
    private let folder: KeyFolder
    private let state: Mutex<State>

    /// Reads the keys, having made those that are missing. Blocks; making an RSA key takes a good part of a second.
    public init(dataFolder: String) throws {
        folder = try KeyFolder(dataFolder: dataFolder)
        let random = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        if try !folder.names().contains(Self.cursorFile) { _ = try folder.create(Self.cursorFile, content: random) }
        let secret = try folder.content(of: Self.cursorFile)
        guard secret.count == 32 else { throw Problem.malformed(Self.cursorFile) }
        cursorSecret = secret
        pseudonymSecret = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Data("attune pseudonyms".utf8), outputByteCount: 32)

        if try Self.numbers(in: folder).isEmpty { try Self.make(number: 1, in: folder) }
        state = Mutex(State(keys: try Self.load(from: folder), reloadedAt: .now))
    }

    /// Makes a new key, which signs from now on here, and elsewhere from the next `reload()` on. Blocks.
    public func rotate() throws {
        // Should another process take the same number meanwhile, its key is as new as ours would have been.
        try Self.make(number: (try Self.numbers(in: folder).last ?? 0) + 1, in: folder)
        try reload()
    }

    /// Takes up keys that another process has made. Blocks for a moment.
    public func reload() throws {
        let keys = try Self.load(from: folder)
        state.withLock { $0 = State(keys: keys, reloadedAt: .now) }
    }

    /// The key that signs.
    var newest: SigningKey { state.withLock { $0.keys[$0.keys.count - 1] } }

    /// The key of that id. One that is not known may have been made by another worker a moment ago, so the folder is read
    /// again, at most every five seconds.
    func key(_ id: String) throws -> SigningKey? {
        let (found, isReloadDue) = state.withLock { state -> (SigningKey?, Bool) in
            if let key = state.keys.first(where: { $0.id == id }) { return (key, false) }
            guard state.reloadedAt.duration(to: .now) > Self.reloadInterval else { return (nil, false) }
            state.reloadedAt = .now
            return (nil, true)
        }
        guard isReloadDue else { return found }
        try reload()
        return state.withLock { $0.keys.first { $0.id == id } }
    }

    /// The public keys, for `/.well-known/jwks.json`. JSON.
    public var keySetDocument: [UInt8] {
        let keys = state.withLock { $0.keys }.map { key in
            #"{"use":"sig","kty":"RSA","alg":"RS256","kid":"\#(key.id)","n":"\#(key.modulus)","e":"\#(key.exponent)"}"#
        }
        return Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8)
    }

    private static func name(_ number: Int) -> String {
        let digits = String(number)
        return "signing-" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + ".pem"
    }

    private static func numbers(in folder: KeyFolder) throws -> [Int] {
        try folder.names().compactMap { name in
            guard name.hasPrefix("signing-"), name.hasSuffix(".pem") else { return nil }
            return Int(name.dropFirst("signing-".count).dropLast(".pem".count))
        }.sorted()
    }

    private static func make(number: Int, in folder: KeyFolder) throws {
        let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
        // Finding the name taken means that another process has just made this key: then theirs is the one.
        _ = try folder.create(name(number), content: Array((key.pemRepresentation + "\n").utf8))
    }

    private static func load(from folder: KeyFolder) throws -> [SigningKey] {
        let keys = try numbers(in: folder).map { number in
            let pem = String(decoding: try folder.content(of: name(number)), as: UTF8.self)
            guard let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) else { throw Problem.malformed(name(number)) }
            return try SigningKey(key)
        }
        guard !keys.isEmpty else { throw Problem.malformed(name(1)) }
        return keys
    }
}

extension SigningKeys.SigningKey {
    fileprivate init(_ key: _RSA.Signing.PrivateKey) throws {
        self.key = key
        publicKey = key.publicKey
        let primitives = try publicKey.getKeyPrimitives()
        modulus = Base64URL.encode(primitives.modulus)
        exponent = Base64URL.encode(primitives.publicExponent)
        let canonical = #"{"e":"\#(exponent)","kty":"RSA","n":"\#(modulus)"}"#
        id = Base64URL.encode(SHA256.hash(data: Data(canonical.utf8)))
    }
}
