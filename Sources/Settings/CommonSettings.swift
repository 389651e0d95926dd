import Foundation

extension SettingsReader {
    /// For daemons, which have no cluster of their own to fall back on.
    mutating func readDatabaseURL() -> Secret<String> {
        let before = problemCount
        if let databaseURL = read(SettingCatalog.databaseURL) { return databaseURL }
        guard problemCount == before else { return Secret("") }
        report(
            SettingCatalog.databaseURL.name,
            "is not set: give a libpq connection string, or start everything with 'attune dev'")
        return Secret("")
    }
}

/// Where a browser on this machine finds a server that listens on `host`.
func localOrigin(host: String, port: Int) -> String {
    switch host {
    case "0.0.0.0", "::": "http://127.0.0.1:\(port)"
    case _ where host.contains(":"): "http://[\(host)]:\(port)"
    default: "http://\(host):\(port)"
    }
}

func absolutePath(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
}
