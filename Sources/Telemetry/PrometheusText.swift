/// Prometheus' text exposition format 0.0.4, as it is being written.
struct PrometheusText {
    private(set) var bytes: [UInt8] = []

    mutating func head(_ name: String, help: String?, type: String) {
        if let help {
            let escaped = Self.escape(help, quotes: false)
            line("# HELP \(name) \(escaped)")
        }
        line("# TYPE \(name) \(type)")
    }

    /// - Parameter labels: as written between the braces.
    mutating func sample(_ name: String, _ labels: String, _ value: String) {
        line(labels.isEmpty ? "\(name) \(value)" : "\(name){\(labels)} \(value)")
    }

    private mutating func line(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// Letters, digits, `_` and `:`, not beginning with a digit.
    static func name(_ text: String) -> String { identifier(text, colon: true) }

    /// What stands between the braces: names in order, values escaped. Of labels with one name, the first counts.
    static func labels(_ dimensions: [(String, String)]) -> String {
        var seen: Set<String> = []
        return dimensions.map { (identifier($0.0, colon: false), $0.1) }
            .filter { seen.insert($0.0).inserted }
            .sorted { $0.0 < $1.0 }
            .map { name, value in "\(name)=\"\(escape(value, quotes: true))\"" }
            .joined(separator: ",")
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    private static func identifier(_ text: String, colon: Bool) -> String {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "_": result.append(UInt8(scalar.value))
            case "0"..."9":
                if result.isEmpty { result.append(UInt8(ascii: "_")) }
                result.append(UInt8(scalar.value))
            case ":" where colon: result.append(UInt8(scalar.value))
            default: result.append(UInt8(ascii: "_"))
            }
        }
        return result.isEmpty ? "_" : String(decoding: result, as: UTF8.self)
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
