import Domain

/// Somebody whom the demo invents.
struct DemoPerson: Sendable {
    let email: String
    let name: String
    let role: Role
    let accountType: AccountType?
    let bio: String?
    /// For so many days there has been an account.
    let days: Int

    private init(
        _ mailbox: String, _ name: String, role: Role = .user, _ accountType: AccountType? = nil, bio: String? = nil, days: Int
    ) {
        email = mailbox + "@demo.example"
        self.name = name
        self.role = role
        self.accountType = accountType
        self.bio = bio
        self.days = days
    }
}

extension DemoPerson {
    static let therapist = DemoPerson(
        "thea", "Thea Larsen", .therapist, bio: "Sleep, stress and all that goes with a new job. Mondays to Thursdays.", days: 83)
    static let client = DemoPerson("cleo", "Cleo Martín", .client, days: 8)
    static let administrator = DemoPerson("admin", "Ada Lindqvist", role: .admin, bio: "Looks after this installation.", days: 83)

    static let therapists = [
        therapist,
        DemoPerson("emil", "Emil Okafor", .therapist, bio: "Family and couples, in English and Igbo.", days: 82),
        DemoPerson("amira", "Amira Haddad", .therapist, bio: "Grief and change. I answer in the evenings.", days: 81),
        DemoPerson("ruben", "Ruben Castellanos", .therapist, bio: "Chronic pain; relaxation for a working day.", days: 74),
        DemoPerson("ingrid", "Ingrid Sørensen", .therapist, bio: "Young adults, exams, first steps of one's own.", days: 66),
        DemoPerson("tomasz", "Tomasz Wiśniewski", .therapist, bio: "Anxiety and sleep. Walks instead of chairs.", days: 52),
        DemoPerson("priya", "Priya Raghunathan", .therapist, bio: "Mindfulness, without incense.", days: 31),
        DemoPerson("noor", "Noor van den Berg", .therapist, bio: "After hospital: back into everyday life.", days: 12),
    ]

    /// Each has one therapist, in turn; the first ones are Thea's as well as Cleo is.
    static let clients = [
        DemoPerson("jonas", "Jonas Weber", .client, days: 80), DemoPerson("leila", "Leïla Benali", .client, days: 79),
        DemoPerson("marek", "Marek Dvořák", .client, days: 78), DemoPerson("sofia", "Sofia Rossi", .client, days: 76),
        DemoPerson("henrik", "Henrik Ståhl", .client, days: 74), DemoPerson("aisha", "Aisha Bello", .client, days: 73),
        DemoPerson("lukas", "Lukas Brandt", .client, days: 71), DemoPerson("chiara", "Chiara Conti", .client, days: 70),
        DemoPerson("mateo", "Mateo Fernández", .client, days: 68), DemoPerson("yuki", "Yuki Tanaka", .client, days: 66),
        DemoPerson("elif", "Elif Yılmaz", .client, days: 63), DemoPerson("oskar", "Oskar Nieminen", .client, days: 60),
        DemoPerson("nadia", "Nadia Popescu", .client, days: 57), DemoPerson("tom", "Tom Gallagher", .client, days: 55),
        DemoPerson("zanele", "Zanele Dlamini", .client, days: 52), DemoPerson("anton", "Anton Kowalczyk", .client, days: 49),
        DemoPerson("marta", "Marta Silva", .client, days: 46), DemoPerson("daniel", "Daniel Cohen", .client, days: 43),
        DemoPerson("freya", "Freya Johansen", .client, days: 40), DemoPerson("omar", "Omar Farouk", .client, days: 38),
        DemoPerson("hannah", "Hannah Schmid", .client, days: 35), DemoPerson("luca", "Luca Moretti", .client, days: 33),
        DemoPerson("ines", "Inês Carvalho", .client, days: 30), DemoPerson("viktor", "Viktor Petrov", .client, days: 27),
        DemoPerson("maya", "Maya Lindholm", .client, days: 25), DemoPerson("samuel", "Samuel Adeyemi", .client, days: 22),
        DemoPerson("klara", "Klára Horváth", .client, days: 20), DemoPerson("rosa", "Rosa Jiménez", .client, days: 17),
        DemoPerson("finn", "Finn O’Connor", .client, days: 15), DemoPerson("leonie", "Leonie Keller", .client, days: 13),
        DemoPerson("arjun", "Arjun Mehta", .client, days: 11), client,
        DemoPerson("greta", "Greta Olsen", .client, days: 6), DemoPerson("paul", "Paul Dubois", .client, days: 5),
        DemoPerson("selma", "Selma Aydın", .client, days: 3), DemoPerson("nils", "Nils Bergström", .client, days: 2),
        DemoPerson("bea", "Bea Novak", .client, days: 1),
    ]

    /// The oldest account first.
    static let everybody = ([administrator] + therapists + clients).sorted { $0.days > $1.days }

    /// Who wrote with whom.
    static let conversations: [(therapist: DemoPerson, client: DemoPerson)] = {
        let others = clients.filter { $0.email != client.email }
        return others.enumerated().map { index, client in
            // Thea has the most, so that there is something to see for who signs in as she.
            let colleagues = therapists.filter { $0.days > client.days }
            return (index.isMultiple(of: 3) ? therapist : colleagues[index % colleagues.count], client)
        }
    }()
}
