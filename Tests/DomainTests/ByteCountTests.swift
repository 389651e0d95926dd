import Domain
import Testing

@Suite("Byte counts")
struct ByteCountTests {
    @Test(
        "are shown in decimal units, with one digit after the point",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1049, "1.0 kB"), (1050, "1.1 kB"), (9_990, "10.0 kB"),
            (999_949, "999.9 kB"), (999_950, "1.0 MB"), (7_654_321, "7.7 MB"), (999_949_999, "999.9 MB"), (999_950_000, "1.0 GB"),
            (1_234_567_890, "1.2 GB"), (1_250_000_000, "1.3 GB"), (87_650_000_000_000, "87.7 TB"),
            (3_000_000_000_000_000, "3.0 PB"), (.max, "9.2 EB"), (-1500, "-1.5 kB"), (.min, "-9.2 EB"),
        ] as [(Int, String)])
    func text(bytes: Int, text: String) {
        #expect(ByteCount(bytes).description == text)
    }
}
