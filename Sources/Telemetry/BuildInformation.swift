/// The version of Attune's programs, shown to whoever asks.
public let attuneVersion = "0.1.0"
