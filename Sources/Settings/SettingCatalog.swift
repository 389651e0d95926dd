import Domain

/// Every setting of every executable. The names are a contract (design.md): proxies, tests and scripts use them.
public enum SettingCatalog {
    public static let databaseURL = Setting<Secret<String>>.secret(
        "DATABASE_URL", "PostgreSQL, as a libpq connection string or URI; when set, `attune dev` starts no cluster of its own")

    public static let feedDatabaseURL = Setting<Secret<String>>.secret(
        "ATTUNE_FEED_DATABASE_URL", "the same database without PgBouncer in between, for the change feed; if not given, DATABASE_URL")

    public static let sharesFeed = Setting<Bool>.flag(
        "ATTUNE_FEED_SHARED",
        "whether the workers of a machine that have the data folder in common read the log through one slot", default: true)

    public static let dataDirectory = Setting<String>.text(
        "ATTUNE_DATA_DIR", "folder for the private cluster, keys and spool", default: ".attune")

    public static let host = Setting<String>.text("ATTUNE_HOST", "address or name to listen on", default: "127.0.0.1")

    public static let port = Setting<Int>.port("ATTUNE_PORT", "TCP port of the API", default: 3210)

    public static let workers = Setting<Int>.number(
        "ATTUNE_WORKERS", "attune-api processes that `attune dev` starts, on ATTUNE_PORT, +1, …", default: 1, in: 1...64)

    public static let siteURL = Setting<String>(
        "ATTUNE_SITE_URL",
        "public origin, the issuer of tokens: http(s)://host[:port]; if not given, http://ATTUNE_HOST:ATTUNE_PORT",
        parse: { text throws(InvalidText) in try Self.origin(text) })

    public static let trustedProxies = Setting<[IPRange]>(
        "ATTUNE_TRUSTED_PROXIES",
        "addresses and networks whose X-Forwarded-For is believed, separated by commas: 10.0.0.0/8, ::1",
        default: "",
        parse: { text throws(InvalidText) in
            var ranges: [IPRange] = []
            for item in Self.items(text) {
                guard let range = IPRange(item) else {
                    throw InvalidText("addresses or networks like 10.0.0.0/8, separated by commas; '\(item)' is neither")
                }
                ranges.append(range)
            }
            return ranges
        })

    public static let allowedOrigins = Setting<AllowedOrigins>(
        "ATTUNE_ALLOWED_ORIGINS", "web pages that may call the API (CORS): origins separated by commas, or * for all",
        default: "*",
        parse: { text throws(InvalidText) in
            let items = Self.items(text)
            if items == ["*"] { return .all }
            var origins: Set<String> = []
            for item in items { origins.insert(try Self.origin(item)) }
            return .only(origins)
        })

    public static let logLevel = Setting<LogLevel>.choice(
        "ATTUNE_LOG_LEVEL", "the least severe records that are logged", default: .info)

    public static let newAccountsPerHour = Setting<Int>.number(
        "ATTUNE_NEW_ACCOUNTS_PER_HOUR", "accounts that one network (IPv4 address, IPv6 /64) may make in an hour", default: 200,
        in: 1...1_000_000)

    public static let maximumSockets = Setting<Int>.number(
        "ATTUNE_MAX_SOCKETS", "sync sockets of one worker; a proxy takes one more to the next worker", default: 20_000,
        in: 1...1_000_000)

    // MARK: Security events

    public static let ingestHTTPPort = Setting<Int>.port(
        "ATTUNE_INGEST_HTTP_PORT", "TCP port on which attune-ingest takes events over HTTP", default: 3230)

    public static let ingestTCPPort = Setting<Int>.number(
        "ATTUNE_INGEST_TCP_PORT", "TCP port on which attune-ingest takes JSON lines; 0: none", default: 3231, in: 0...65535)

    public static let ingestSyslogPort = Setting<Int>.number(
        "ATTUNE_INGEST_SYSLOG_PORT", "port on which attune-ingest takes syslog over UDP and TCP; 0: none", default: 3232,
        in: 0...65535)

    public static let ingestSocket = Setting<String>.text(
        "ATTUNE_INGEST_SOCKET",
        "path of the Unix socket on which attune-ingest takes JSON lines; if not given, ingest.sock in ATTUNE_DATA_DIR")

    public static let ingestFiles = Setting<[String]>(
        "ATTUNE_INGEST_FILES",
        "log files that attune-ingest follows, separated by commas; nginx=/… names the program that writes one",
        default: "",
        parse: { text throws(InvalidText) in
            let files = Self.items(text)
            for file in files where file.wholeMatch(of: /([^\/=]+=)?\/.+/) == nil {
                throw InvalidText("absolute paths, each after a program's name and = or without; '\(file)' is not like that")
            }
            return files
        })

    public static let ingestToken = Setting<Secret<String>>.secret(
        "ATTUNE_INGEST_TOKEN",
        "bearer token for events over HTTP; if not given, the one in ATTUNE_DATA_DIR/ingest-token, made at the first start")

    public static let ingestCertificate = Setting<String>.text(
        "ATTUNE_INGEST_TLS_CERTIFICATE",
        "PEM file with the certificate chain for attune-ingest's TLS ports; without it there are none")

    public static let ingestKey = Setting<String>.text(
        "ATTUNE_INGEST_TLS_KEY", "PEM file with the private key of ATTUNE_INGEST_TLS_CERTIFICATE")

    public static let ingestTLSTCPPort = Setting<Int>.number(
        "ATTUNE_INGEST_TLS_TCP_PORT", "TCP port on which attune-ingest takes JSON lines over TLS; 0: none", default: 3233,
        in: 0...65535)

    public static let ingestTLSSyslogPort = Setting<Int>.number(
        "ATTUNE_INGEST_TLS_SYSLOG_PORT", "TCP port on which attune-ingest takes syslog over TLS; 0: none", default: 6514,
        in: 0...65535)

    public static let ingestSpoolSize = Setting<Int>.number(
        "ATTUNE_INGEST_SPOOL_MB", "megabytes of disk for events that PostgreSQL does not have yet; beyond, senders have to wait",
        default: 1024, in: 16...1_048_576)

    public static let rulesFolder = Setting<String>.text(
        "ATTUNE_RULES",
        "folder of rule files, which turn log lines into events and recognize attacks; if not given, the built-in ones")

    public static let securityRetentionDays = Setting<Int>.number(
        "ATTUNE_SECURITY_RETENTION_DAYS", "days after which security events are deleted", default: 365, in: 1...36_500)

    // MARK: Metrics

    public static let metricsPort = Setting<Int>.port(
        "ATTUNE_METRICS_PORT", "TCP port of attune-metrics, for its health and metrics pages", default: 3240)

    public static let metricsRawDays = Setting<Int>.number(
        "ATTUNE_METRICS_RAW_DAYS", "days after which the single calls and activities that numbers are made of are deleted",
        default: 7, in: 2...3650)

    // MARK: The administrator

    public static let adminEmail = Setting<String>(
        "ATTUNE_ADMIN_EMAIL", "administrator that `attune dev` creates or promotes; an e-mail address",
        parse: { text throws(InvalidText) in
            guard text.wholeMatch(of: /[^@\s]+@[^@\s]+/) != nil else { throw InvalidText("an e-mail address") }
            return text
        })

    public static let adminPassword = Setting<Secret<String>>.secret(
        "ATTUNE_ADMIN_PASSWORD", "password of a newly created administrator; not needed to promote an account that exists")

    /// The parts of a comma-separated list, without blanks around them and without empty ones.
    private static func items(_ text: String) -> [String] {
        text.split(separator: ",").map { String($0.trimmingBlanks()) }.filter { !$0.isEmpty }
    }

    /// `scheme://host[:port]` as browsers write it: lower case, no slash at the end.
    private static func origin(_ text: String) throws(InvalidText) -> String {
        let text = text.lowercased()
        let pattern = /(https?:\/\/([a-z0-9._\-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)\/?/
        guard let match = text.wholeMatch(of: pattern) else {
            throw InvalidText("an origin like https://chat.example.org, without a path")
        }
        return String(match.1)
    }
}

/// Which web pages may call the API.
public enum AllowedOrigins: Equatable, Sendable {
    case all
    /// Lower case, without a slash at the end.
    case only(Set<String>)

    /// - Parameter origin: the request's `Origin` header.
    public func contains(_ origin: String) -> Bool {
        switch self {
        case .all: true
        case .only(let origins): origins.contains(origin.lowercased())
        }
    }
}

/// Names and order as in swift-log: `Logger.Level(rawValue: level.rawValue)`.
public enum LogLevel: String, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical
}
