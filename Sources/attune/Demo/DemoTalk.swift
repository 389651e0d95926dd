/// What therapists and clients of the demo write to each other. Each talk stands for itself.
enum DemoTalk {
    enum Line {
        case therapist(String)
        case client(String)

        var text: String {
            switch self {
            case .therapist(let text), .client(let text): text
            }
        }

        var isTherapists: Bool {
            if case .therapist = self { true } else { false }
        }
    }

    static let first: [Line] = [
        .therapist("Welcome! Here you can write to me between our meetings. I read everything, and answer by the next evening."),
        .client("Thank you. It is good to know that there is a place for small things, too."),
        .therapist("Small things are welcome. How was the first evening after we talked?"),
        .client("Quiet. I slept better than I had thought I would."),
    ]

    /// Of Thea and Cleo.
    static let documented: [Line] = [
        .therapist("Hello Cleo, how did the week go?"),
        .client("Better than the last one. I went for a walk every evening."),
        .therapist("That is good to hear. Shall we talk about it on Thursday at ten?"),
        .client("Thursday at ten is fine. Thank you!"),
    ]

    static let all: [[Line]] = [
        [
            .client("I tried the breathing exercise before the meeting, as you said."),
            .therapist("And? Did it do anything?"),
            .client("My hands were calm. My voice was not, but nobody minded."),
            .therapist("Calm hands are a good beginning. Keep it for Friday, and write down what you notice."),
        ],
        [
            .therapist("A short question for this week: which ten minutes of each day were the best ones?"),
            .client("Monday: coffee on the balcony. Tuesday: nothing, really. I’ll go on with the list."),
            .therapist("“Nothing, really” counts as well. Thank you for being honest with it."),
        ],
        [
            .client("Could we move our appointment? My daughter has a school play on Wednesday."),
            .therapist("Of course. Thursday at 9:30 or Friday at 16:00?"),
            .client("Friday at 16:00 would be perfect."),
            .therapist("It’s in the calendar. Enjoy the play! 🎭"),
        ],
        [
            .client("I slept through for the first time since August."),
            .therapist("What lovely news. Anything that was different that evening?"),
            .client("I left the phone in the kitchen. And I read the boring book you recommended."),
            .therapist("It has helped many people, that book. Nobody has ever finished it."),
            .client("😄 I am on page eleven."),
        ],
        [
            .therapist("I have put the worksheet about worries into your folder. Two pages, no hurry."),
            .client("Got it. Is it all right if I only do the first half?"),
            .therapist("The first half is the half that matters."),
        ],
        [
            .client("The train was cancelled again and I noticed how angry I was. I counted as we had practised."),
            .therapist("How far did you get?"),
            .client("Forty. By then I had found the bus."),
            .therapist("That is what counting is for: it gives you time to find the bus."),
        ],
        [
            .client("I am not sure that I want to come this week. Nothing happened, and I have nothing to say."),
            .therapist("Then come and say nothing for half an hour. Some of our best meetings began like that."),
            .client("All right. I’ll bring my nothing."),
        ],
        [
            .therapist("Reminder: no meeting next Monday, it is a public holiday. The week after as usual."),
            .client("Thanks, I would have stood in front of the door."),
        ],
        [
            .client("My sister called. We talked for an hour and did not fight once."),
            .therapist("An hour! What did you do when it became difficult?"),
            .client("I said that I needed to get a glass of water. Then I really got one."),
            .therapist("A glass of water is a fine plan. Tell me more on Tuesday, if you like."),
        ],
        [
            .client(
                """
                My week in short:
                – three walks
                – one evening with friends, stayed until ten
                – one day on the sofa
                I think that is more than last week.
                """),
            .therapist("It is. And I am glad that the day on the sofa made it onto the list."),
        ],
        [
            .client("Where do I send the form for the health insurance?"),
            .therapist("Bring it along, I’ll sign it and send it off from here. It takes about two weeks."),
            .client("Great, one thing less to think about."),
        ],
        [
            .therapist("How is the new job?"),
            .client("Loud. Nice people. I forget everybody’s name."),
            .therapist("Give yourself until the end of the month. Would it help to write the names down?"),
            .client("I did, on a napkin. It has been washed with my trousers."),
            .therapist("Then the trousers know everybody by now."),
        ],
        [
            .client("I could not do the exercise. I sat down twice and stood up again both times."),
            .therapist("Sitting down twice is an exercise. What were you thinking when you stood up?"),
            .client("That I had to do the dishes. There were no dishes."),
            .therapist("That is worth a closer look. Let us take ten minutes for it next time."),
        ],
        [
            .client("Good morning! Just to tell you: the doctor says that my blood pressure is normal again."),
            .therapist("Good morning! That is a fine way to begin a day. Congratulations on all those walks."),
        ],
        [
            .therapist("You asked for something to listen to in the evening. Try “The slow river”, twelve minutes."),
            .client("I fell asleep at minute four."),
            .therapist("Then it does what it should. The end is the same as the beginning, by the way."),
        ],
        [
            .client("I will be travelling for work until the 14th. Can we talk by video?"),
            .therapist("Yes. Same day, same hour; I’ll send a link in the morning."),
            .client("Perfect. The hotel promises that the network works."),
            .therapist("If not, we telephone."),
        ],
        [
            .client("At the supermarket it was all too much for a moment, and then it passed. I stayed in the queue."),
            .therapist("You stayed! How long did it last, do you think?"),
            .client("Two minutes, maybe three. It felt like twenty."),
            .therapist("Remember those two minutes. Next time you will know that it has an end."),
            .client("I have written it on a card. It is in my purse now."),
        ],
        [
            .therapist("I am on holiday from the 3rd to the 17th. Amira reads messages to me in that time, if you agree."),
            .client("I agree. Have a good rest!"),
        ],
        [
            .client("Do you have the address of the choir that you mentioned?"),
            .therapist("They meet on Wednesdays at seven in the old fire station. No audition, and there is cake."),
            .client("You should have begun with the cake."),
        ],
        [
            .client("I told my boss that I need to leave at five on Thursdays. She only said “fine”."),
            .therapist("Two weeks of worry, and one word. How did you feel on the way home?"),
            .client("Tall."),
        ],
        [
            .therapist("Looking back over the last month: what would you like to keep?"),
            .client("The walks. The list in the evening. Not looking at the news before breakfast."),
            .client("And our talks, of course."),
            .therapist("Noted. We’ll make a plan of it on Thursday, on one page."),
        ],
        [
            .client("I have filled in the sleep diary all week. The average is 6 h 40 min, last month it was 5 h 10 min."),
            .therapist("That is an hour and a half more each night. I hope you are a little proud."),
            .client("A little. Mostly rested."),
        ],
    ]
}
