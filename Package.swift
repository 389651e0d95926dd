// swift-tools-version: 6.2
import PackageDescription

// Which module may import which is written down once, here; `script/test` compares the import lines with it.

let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioHTTPTypesHTTP1 = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let cryptoExtras = Target.Dependency.product(name: "_CryptoExtras", package: "swift-crypto")

let package = Package(
    name: "attune",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "attune", targets: ["attune"]),
        .executable(name: "attune-api", targets: ["attune-api"]),
        .executable(name: "attune-ingest", targets: ["attune-ingest"]),
        .executable(name: "attune-metrics", targets: ["attune-metrics"]),
        .executable(name: "attune-migrate", targets: ["attune-migrate"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // C libraries, from Debian's -dev packages.
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // The library, bottom up.
        .target(name: "Domain"),
        .target(name: "Settings", dependencies: ["Domain"]),
        .target(name: "Telemetry", dependencies: [logging, coreMetrics]),
        .target(name: "Postgres", dependencies: ["CLibpq", deque, logging]),
        .target(name: "Wire", dependencies: ["Domain"]),
        .target(name: "Development", dependencies: ["Postgres", logging]),
        .target(
            name: "Schema", dependencies: ["Postgres", crypto, logging], exclude: ["migrations"], plugins: ["EmbedMigrations"]),
        .target(name: "Store", dependencies: ["Domain", "Postgres"]),
        .target(name: "Reporting", dependencies: ["Domain", "Wire"]),
        .target(
            name: "Accounts",
            dependencies: ["Domain", "Wire", "Postgres", "Store", "Reporting", "CArgon2", crypto, cryptoExtras, logging]),
        .target(name: "Usage", dependencies: ["Domain", "Postgres", "Store", deque, histogram, lifecycle, logging, metrics]),
        .target(
            name: "Registry",
            dependencies: ["Domain", "Wire", "Postgres", "Store", "Reporting", "Usage", "Accounts", crypto, logging, metrics]),
        .target(name: "Models", dependencies: ["Domain", "Postgres", "Registry", "Store", "Wire"]),
        .target(
            name: "Functions", dependencies: ["Domain", "Wire", "Postgres", "Store", "Accounts", "Registry", "Models"],
            plugins: ["ListFunctions"]),
        .target(name: "Feed", dependencies: ["Domain", "Postgres", "Store", logging, metrics, nioCore, nioPosix]),
        .target(
            name: "Live",
            dependencies: [
                "Domain", "Wire", "Postgres", "Store", "Reporting", "Accounts", "Registry", "Feed", deque, logging, metrics,
            ]),
        .target(
            name: "Status",
            dependencies: ["Telemetry", "Wire", hummingbird, hummingbirdCore, httpTypes, nioCore, lifecycle, logging]),
        .target(name: "Pages", dependencies: [crypto], exclude: ["site"], plugins: ["EmbedPages"]),
        .target(
            name: "API",
            dependencies: [
                "Domain", "Wire", "Postgres", "Store", "Reporting", "Usage", "Accounts", "Registry", "Live", "Feed", "Schema",
                "Status", "Telemetry", "Spool", "Delivery", "Pages", hummingbird, hummingbirdCore, httpTypes, nioCore, nioHTTP1,
                nioHTTPTypes, nioHTTPTypesHTTP1, nioWebSocket, logging, lifecycle,
            ]),

        // Security events: from whoever reports them to the table.
        .target(name: "Events", dependencies: ["Domain", "Wire", crypto]),
        .target(name: "Rules", dependencies: ["Domain", "Wire", yams], exclude: ["rules"], plugins: ["EmbedRules"]),
        .target(name: "Spool", dependencies: ["CZlib", logging]),
        .target(
            name: "Delivery",
            dependencies: ["Domain", "Events", "Postgres", "Spool", "Store", "Wire", lifecycle, logging, metrics]),
        .target(
            name: "Watch", dependencies: ["Domain", "Events", "Postgres", "Rules", "Store", "Wire", lifecycle, logging, metrics]),
        .target(
            name: "Ingest",
            dependencies: [
                "CZlib", "Delivery", "Domain", "Events", "Postgres", "Rules", "Schema", "Spool", "Status", "Telemetry", "Watch",
                "Wire", crypto, deque, hummingbird, hummingbirdCore, httpTypes, nioCore, nioHTTPTypes, nioPosix, nioSSL, nioTLS,
                lifecycle, logging, metrics,
            ]),

        // Numbers about the installation, from the workers' raw facts.
        .target(
            name: "Aggregation", dependencies: ["Domain", "Postgres", "Store", lifecycle, logging, metrics]),

        // The list of functions is made from the files in Sources/Functions: one file, one function.
        .executableTarget(name: "list-functions"),
        .plugin(name: "ListFunctions", capability: .buildTool(), dependencies: ["list-functions"]),

        // The migrations are built into the programs that need them.
        .executableTarget(name: "embed-migrations"),
        .plugin(name: "EmbedMigrations", capability: .buildTool(), dependencies: ["embed-migrations"]),

        // So are the rule files, for those who have none of their own.
        .executableTarget(name: "embed-rules"),
        .plugin(name: "EmbedRules", capability: .buildTool(), dependencies: ["embed-rules"]),

        // And the web pages.
        .executableTarget(name: "embed-pages"),
        .plugin(name: "EmbedPages", capability: .buildTool(), dependencies: ["embed-pages"]),

        // Executables: mains only.
        .executableTarget(
            name: "attune-api",
            dependencies: [
                "API", "Domain", "Functions", "Settings", "Telemetry", argumentParser, lifecycle, logging, metrics, unixSignals,
            ]),
        .executableTarget(
            name: "attune-ingest",
            dependencies: [
                "Delivery", "Ingest", "Rules", "Settings", "Telemetry", argumentParser, lifecycle, logging, metrics, unixSignals,
            ]),
        .executableTarget(
            name: "attune-metrics",
            dependencies: [
                "Aggregation", "Domain", "Postgres", "Schema", "Settings", "Status", "Telemetry", "Usage", "Wire",
                argumentParser, lifecycle, logging, metrics, unixSignals,
            ]),
        .executableTarget(
            name: "attune-migrate", dependencies: ["Schema", "Settings", "Postgres", argumentParser, logging]),
        .executableTarget(
            name: "attune",
            dependencies: [
                "Schema", "Settings", "Telemetry", "Postgres", "Accounts", "Aggregation", "Store", "Domain", "Development",
                argumentParser, logging, unixSignals,
            ]),

        // What script/check-live runs. It shares no code with the server's feed and live modules.
        .target(
            name: "Checking",
            dependencies: [
                "Development", "Domain", "Postgres", "Wire", nioCore, nioHTTP1, nioPosix, nioWebSocket, logging,
            ]),
        .executableTarget(name: "check-live", dependencies: ["Checking", argumentParser]),

        // What script/fuzz runs.
        .target(name: "Fuzzing", dependencies: ["Domain", "Events", "Rules", "Wire"]),
        .executableTarget(name: "fuzz-events", dependencies: ["Fuzzing", argumentParser]),

        // What script/bench measures against.
        .executableTarget(name: "bench-echo", dependencies: [hummingbird, logging], path: "bench/http/echo"),
        .executableTarget(
            name: "bench-live", dependencies: ["CLibpq", deque, nioCore, nioPosix], path: "bench/live/load"),

        // Tests.
        .target(name: "TestSupport", dependencies: ["Development", "Domain", "Postgres", "Schema", logging]),
        .target(
            name: "WorkerTestSupport",
            dependencies: [
                "API", "Accounts", "Development", "Domain", "Functions", "Live", "Postgres", "Registry", "Telemetry", "TestSupport",
                "Wire", nioCore, nioHTTP1, nioPosix, nioWebSocket, lifecycle, logging,
            ]),
        .target(name: "StackTestSupport", dependencies: ["Development", "TestSupport", "Wire"]),
        .testTarget(
            name: "AccountsTests",
            dependencies: [
                "Accounts", "Domain", "Functions", "Postgres", "Registry", "Reporting", "Store", "TestSupport", "Wire",
                crypto, cryptoExtras, logging,
            ]),
        .testTarget(
            name: "FeedTests",
            dependencies: [
                "Development", "Domain", "Feed", "Postgres", "Schema", "Store", "TestSupport", logging, nioCore,
            ]),
        .testTarget(name: "ModelsTests", dependencies: ["Models", "Domain", "Registry", "Wire"]),
        .testTarget(name: "DomainTests", dependencies: ["Domain"]),
        .testTarget(
            name: "LiveTests",
            dependencies: [
                "API", "Development", "Domain", "Functions", "Live", "Postgres", "Registry", "Schema", "TestSupport", "Wire",
                "WorkerTestSupport", logging,
            ]),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Development", "Postgres", "StackTestSupport", "TestSupport", "Wire", "attune", "attune-api", "attune-ingest",
                "attune-metrics", "attune-migrate",
            ],
            exclude: ["clients"]),
        .testTarget(
            name: "ProxyTests", dependencies: ["Development", "Domain", "TestSupport", "Wire", "WorkerTestSupport", "attune-api"]),
        .testTarget(name: "PostgresTests", dependencies: ["Postgres", "Development", "TestSupport"]),
        .testTarget(name: "SchemaTests", dependencies: ["Schema", "Postgres", "Development", "TestSupport", "attune-migrate"]),
        .testTarget(name: "SettingsTests", dependencies: ["Settings", "Domain"]),
        .testTarget(
            name: "CheckerTests",
            dependencies: ["Checking", "attune", "attune-api", "attune-ingest", "attune-metrics", "attune-migrate"]),
        .testTarget(name: "DevelopmentTests", dependencies: ["Development", "Postgres", logging]),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", logging, coreMetrics]),
        .testTarget(
            name: "APITests",
            dependencies: [
                "API", "Accounts", "Domain", "Functions", "Postgres", "Registry", "Rules", "TestSupport", "Watch", "Wire",
                "WorkerTestSupport", crypto, cryptoExtras, lifecycle, logging, nioCore, nioHTTP1, nioPosix,
            ]),
        .testTarget(name: "EventsTests", dependencies: ["Events", "Domain", "Wire"]),
        .testTarget(name: "FuzzingTests", dependencies: ["Domain", "Events", "Fuzzing", "Postgres", "TestSupport"]),
        .testTarget(name: "RulesTests", dependencies: ["Rules", "Domain", "Development"]),
        .executableTarget(name: "spool-writer", dependencies: ["Spool", logging], path: "Tests/SpoolWriter"),
        .testTarget(name: "SpoolTests", dependencies: ["Spool", "Development", "spool-writer", logging]),
        .testTarget(
            name: "DeliveryTests",
            dependencies: [
                "Delivery", "Development", "Domain", "Events", "Postgres", "Schema", "Spool", "TestSupport", logging,
            ]),
        .testTarget(
            name: "WatchTests",
            dependencies: [
                "Domain", "Postgres", "Rules", "Store", "TestSupport", "Watch", "Wire", "WorkerTestSupport", lifecycle, logging,
            ]),
        .testTarget(
            name: "IngestTests",
            dependencies: [
                "Delivery", "Development", "Domain", "Events", "Ingest", "Postgres", "Rules", "Spool", "Telemetry", "TestSupport",
                "Wire", "attune-ingest", lifecycle, logging,
            ]),
        .testTarget(
            name: "UsageTests",
            dependencies: ["Usage", "Development", "Domain", "Postgres", "Schema", "Store", "TestSupport", lifecycle]),
        .testTarget(
            name: "AggregationTests", dependencies: ["Aggregation", "Postgres", "TestSupport", lifecycle, logging]),
        .testTarget(
            name: "PagesTests",
            dependencies: ["Development", "StackTestSupport", "attune", "attune-api", "attune-ingest", "attune-metrics"],
            exclude: ["browser"]),
        .testTarget(name: "WireTests", dependencies: ["Wire", "Domain"]),
        .testTarget(name: "ReportingTests", dependencies: ["Reporting", "Domain", "TestSupport", "Wire"]),
        .testTarget(name: "RegistryTests", dependencies: ["Registry", "Wire", "Domain"]),
        .testTarget(name: "DocsTests", dependencies: ["Domain", "Functions", "Postgres", "Registry", "WorkerTestSupport"]),
    ]
)

// Handlers are generic over their arguments and results, and rows and records are read and written field by field. This
// compiles them for their types, which are in other modules.
for target in package.targets where [.regular, .executable].contains(target.type) {
    target.swiftSettings = [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]
}
