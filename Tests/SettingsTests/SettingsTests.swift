import Domain
import Foundation
import Testing

@testable import Settings

@Suite("Settings")
struct SettingsTests {
    @Test("an empty environment gives the documented defaults")
    func defaults() throws {
        let settings = try OperatorSettings(environment: [:])
        #expect(settings.databaseURL == nil)
        #expect(settings.dataDirectory == FileManager.default.currentDirectoryPath + "/.attune")
        #expect(settings.host == "127.0.0.1")
        #expect(settings.port == 3210)
        #expect(settings.workers == 1)
        #expect(settings.siteURL == nil)
        #expect(settings.localURL == "http://127.0.0.1:3210")
        #expect(settings.adminEmail == nil)
        #expect(settings.logLevel == .info)
    }

    @Test("the API has what it was given")
    func api() throws {
        let settings = try APISettings(environment: [
            "DATABASE_URL": "postgresql:///attune", "ATTUNE_HOST": "::1", "ATTUNE_PORT": "80", "ATTUNE_DATA_DIR": "/srv/attune",
            "ATTUNE_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "ATTUNE_ALLOWED_ORIGINS": "https://Chat.example.org/,http://localhost:5173",
            "ATTUNE_NEW_ACCOUNTS_PER_HOUR": "5", "ATTUNE_MAX_SOCKETS": "100", "ATTUNE_LOG_LEVEL": "DEBUG",
            "ATTUNE_FEED_SHARED": "False",
        ])
        #expect(settings.databaseURL.revealed == "postgresql:///attune")
        #expect(settings.dataDirectory == "/srv/attune")
        #expect(settings.siteURL == "http://[::1]:80")
        #expect(settings.trustedProxies.map(\.description) == ["10.0.0.0/8", "::1"])
        #expect(settings.allowedOrigins == .only(["https://chat.example.org", "http://localhost:5173"]))
        #expect(settings.newAccountsPerHour == 5)
        #expect(settings.maximumSockets == 100)
        #expect(!settings.sharesFeed)
        #expect(settings.logLevel == .debug)
    }

    @Test("a flag wins over the environment, and empty text counts as not given")
    func precedence() throws {
        let settings = try OperatorSettings(
            environment: ["ATTUNE_PORT": "4000", "ATTUNE_WORKERS": "3", "ATTUNE_HOST": ""],
            overrides: ["ATTUNE_PORT": "5000", "ATTUNE_WORKERS": ""])
        #expect(settings.port == 5000)
        #expect(settings.workers == 3)
        #expect(settings.host == "127.0.0.1")
        let origins = Dictionary(uniqueKeysWithValues: settings.effective.map { ($0.name, $0.origin) })
        #expect(origins["ATTUNE_PORT"] == .flag)
        #expect(origins["ATTUNE_WORKERS"] == .environment)
        #expect(origins["ATTUNE_HOST"] == .standard)
        #expect(origins["DATABASE_URL"] == .unset)
    }

    @Test("all problems are reported together, by name")
    func problems() {
        let error = #expect(throws: SettingsError.self) {
            try APISettings(environment: [
                "ATTUNE_PORT": "65536", "ATTUNE_TRUSTED_PROXIES": "10.0.0.0/8, proxy", "ATTUNE_LOG_LEVEL": "loud",
                "ATTUNE_SITE_URL": "https://example.org/attune", "ATTUNE_NEW_ACCOUNTS_PER_HOUR": "many",
            ])
        }
        #expect(
            error?.problems.map(\.name) == [
                "ATTUNE_PORT", "DATABASE_URL", "ATTUNE_SITE_URL", "ATTUNE_TRUSTED_PROXIES", "ATTUNE_NEW_ACCOUNTS_PER_HOUR",
                "ATTUNE_LOG_LEVEL",
            ])
        #expect(error?.description.contains("ATTUNE_PORT must be a whole number from 1 to 65535, not '65536'") == true)
    }

    @Test("the ingestor has what it was given; its files lie in the data folder, and port 0 turns an input off")
    func ingest() throws {
        let settings = try IngestSettings(environment: [
            "DATABASE_URL": "postgresql:///attune", "ATTUNE_DATA_DIR": "/srv/attune", "ATTUNE_INGEST_SYSLOG_PORT": "0",
            "ATTUNE_INGEST_FILES": "/var/log/auth.log, nginx=/var/log/nginx/access.log", "ATTUNE_INGEST_TOKEN": "hunter2",
            "ATTUNE_INGEST_TLS_CERTIFICATE": "/etc/tls/chain.pem", "ATTUNE_INGEST_TLS_KEY": "/etc/tls/key.pem",
            "ATTUNE_INGEST_SPOOL_MB": "16", "ATTUNE_RULES": "/etc/attune/rules",
        ])
        #expect(settings.inputs.ports == [3230, 3231, 3233, 6514])
        #expect(settings.inputs.syslogPort == nil)
        #expect(settings.inputs.socketPath == "/srv/attune/ingest.sock")
        #expect(settings.inputs.files == ["/var/log/auth.log", "nginx=/var/log/nginx/access.log"])
        #expect(settings.inputs.tls?.key == "/etc/tls/key.pem")
        #expect(settings.spoolBudget == 16 << 20)
        #expect(settings.rulesFolder == "/etc/attune/rules")
        #expect(settings.retentionDays == 365)
        #expect(!"\(settings)".contains("hunter2"))
    }

    @Test("the aggregator has what it was given")
    func metrics() throws {
        let settings = try MetricsSettings(environment: [
            "DATABASE_URL": "postgresql:///attune", "ATTUNE_HOST": "::1", "ATTUNE_METRICS_PORT": "8080",
            "ATTUNE_METRICS_RAW_DAYS": "30", "ATTUNE_LOG_LEVEL": "error",
        ])
        #expect(settings.databaseURL.revealed == "postgresql:///attune")
        #expect(settings.host == "::1")
        #expect(settings.port == 8080)
        #expect(settings.retentionDays == 30)
        #expect(settings.logLevel == .error)
    }

    @Test("the ingestor's ports must differ, its files be absolute, and its certificate have a key")
    func ingestProblems() {
        let error = #expect(throws: SettingsError.self) {
            try IngestSettings(environment: [
                "DATABASE_URL": "postgresql:///attune", "ATTUNE_INGEST_HTTP_PORT": "3231", "ATTUNE_INGEST_FILES": "auth.log",
                "ATTUNE_INGEST_TLS_CERTIFICATE": "chain.pem",
            ])
        }
        let names = ["ATTUNE_INGEST_FILES", "ATTUNE_INGEST_TLS_KEY", "ATTUNE_INGEST_HTTP_PORT"]
        #expect(error?.problems.map(\.name) == names)
        let taken = #expect(throws: SettingsError.self) {
            try OperatorSettings(environment: ["ATTUNE_PORT": "3229", "ATTUNE_WORKERS": "2"])
        }
        #expect(taken?.problems.map(\.name) == ["ATTUNE_PORT"])
    }

    @Test("no other daemon has the aggregator's port", arguments: ["3210", "3231"])
    func metricsPort(port: String) {
        let error = #expect(throws: SettingsError.self) { try OperatorSettings(environment: ["ATTUNE_METRICS_PORT": port]) }
        #expect(error?.problems.map(\.name) == ["ATTUNE_METRICS_PORT"])
    }

    @Test("the last worker's port must exist")
    func lastPort() {
        #expect(throws: SettingsError.self) {
            try OperatorSettings(environment: ["ATTUNE_PORT": "65535", "ATTUNE_WORKERS": "2"])
        }
    }

    @Test("a secret comes from a file just as well, without the line feed at its end")
    func secretFromFile() throws {
        let path = NSTemporaryDirectory() + "attune-settings-" + UUID().uuidString
        try "host=/tmp dbname=attune\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let settings = try MigrateSettings(environment: ["DATABASE_URL_FILE": path])
        #expect(settings.databaseURL.revealed == "host=/tmp dbname=attune")

        let twice = #expect(throws: SettingsError.self) {
            try MigrateSettings(environment: ["DATABASE_URL_FILE": path, "DATABASE_URL": "x"])
        }
        #expect(twice?.problems.map(\.name) == ["DATABASE_URL"])
        let missing = #expect(throws: SettingsError.self) {
            try MigrateSettings(environment: ["DATABASE_URL_FILE": path + "-missing"])
        }
        #expect(missing?.problems.map(\.name) == ["DATABASE_URL_FILE"])
    }

    @Test("secrets print as stars, wherever they are")
    func stars() throws {
        let settings = try OperatorSettings(environment: [
            "DATABASE_URL": "postgresql://attune:hunter2@db/attune", "ATTUNE_ADMIN_PASSWORD": "hunter2",
        ])
        var dumped = ""
        dump(settings, to: &dumped)
        for text in ["\(settings)", String(reflecting: settings), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect(settings.effective.contains { $0.name == "ATTUNE_ADMIN_PASSWORD" && $0.shown == "*****" })
    }

    @Test("docs/settings.md has a row for each setting, as the program describes it")
    func documentation() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let document = try String(contentsOf: root.appendingPathComponent("docs/settings.md"), encoding: .utf8)
        let documented = document.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let rows = try OperatorSettings(environment: [:]).effective.map { setting in
            "| `\(setting.name)` | \(setting.shown.isEmpty ? "" : "`\(setting.shown)`") | \(setting.meaning) |"
        }
        #expect(Set(documented.map(String.init)) == Set(rows))
    }
}
