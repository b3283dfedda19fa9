"""Labelled cases of our own, all invented: (kind, text with the value between ⟦ and ⟧), and texts that have none.

Other than the cases beside the rules these are values in the surroundings in which agents meet them. Secrets are put
together from parts, so that no scanner takes them for real.
"""

from extproc.masking.rules.reading import expand

CASES: list[tuple[str, str]] = [
    (kind, expand(text))
    for kind, text in (
        ("card", "Please charge ⟦4111 1111 1111 1111⟧, not the old one."),
        ("card", '{"pan":"⟦5555555555554444⟧","exp":"12/29"}'),
        ("card", "card_number=⟦3782-822463-10005⟧&amount=12"),
        ("iban", "Überweisung an ⟦DE89 3704 0044 0532 0130 00⟧ bis Freitag"),
        ("iban", "beneficiary,⟦GB29NWBK60161331926819⟧,1200.00"),
        ("email", "From: Jane <⟦jane.roe+news@mail.example.co.uk⟧>"),
        ("email", "mailto:⟦o_brien@example.museum⟧?subject=hi"),
        ("ssn", "SSN: ⟦219-09-1234⟧, born in Ohio"),
        ("ssn", "the applicant's social security number is ⟦219091234⟧."),
        ("phone", "Call me at ⟦+44 20 7946 0958⟧ after six."),
        ("phone", "phone: ⟦(415) 555-0132⟧"),
        ("ip-address", "login from ⟦203.0.113.77⟧ refused"),
        ("ip-address", "peer [⟦2001:db8:85a3::8a2e:370:7334⟧]:443"),
        ("mac-address", "lease for ⟦3c:22:fb:9a:10:4e⟧ renewed"),
        ("crypto-address", "send it to ⟦1BoatSLRHtKNngkdXEeobR76b53LETtpyT⟧ please"),
        ("routing-number", "ABA routing number ⟦021000021⟧"),
        ("bank-account", "sort code 20-00-00, account number ⟦55779911⟧"),
        ("passport", "Passport no. ⟦C01X00T47⟧, expires 2031"),
        ("driving-licence", "driver's license number: ⟦D1234567⟧ (California)"),
        ("birth-date", "date of birth: ⟦1987-04-23⟧"),
        ("us-itin", "ITIN ⟦912-70-1234⟧ on the form"),
        ("us-npi", "NPI: ⟦1234567893⟧"),
        ("ca-sin", "social insurance number ⟦130 692 544⟧"),
        ("uk-nino", "National Insurance number: ⟦AB 12 34 56 C⟧"),
        ("uk-nhs", "NHS number ⟦943 476 5919⟧ seen today"),
        ("de-tax-id", "Steuer-ID ⟦36574261809⟧"),
        ("fr-nir", "numéro de sécurité sociale ⟦2 95 10 99 126 111 93⟧"),
        ("es-nif", "NIF: ⟦54362315K⟧"),
        ("it-fiscal-code", "codice fiscale ⟦RCCMNL83S18D969H⟧"),
        ("nl-bsn", "BSN ⟦111222333⟧"),
        ("se-personnummer", "personnummer: ⟦880320-0016⟧"),
        ("pl-pesel", "PESEL ⟦44051401458⟧"),
        ("br-cpf", "CPF ⟦390.533.447-05⟧"),
        ("in-aadhaar", "Aadhaar: ⟦2341 2341 2346⟧"),
        ("au-tfn", "tax file number ⟦123 456 782⟧"),
        ("za-id", "South African ID number ⟦0002295009084⟧"),
        ("tr-kimlik", "TC kimlik no ⟦10000000146⟧"),
        ("aws-key", "aws_access_key_id = ⟦AKIA{{Q7*8}}⟧"),
        ("github-token", "remote: ⟦ghp_{{a1B2*9}}⟧ has expired"),
        ("gitlab-token", "curl --oauth ⟦glpat-{{a1B2c*4}}⟧ https://gitlab.example.com"),
        ("openai-key", "it printed ⟦sk-proj-{{aB3d*12}}⟧ to the console"),
        ("slack-token", "token ⟦xoxb-{{12345*2}}-{{67890*2}}-{{aB3d*6}}⟧ leaked"),
        ("stripe-key", "charged with ⟦sk_live_{{a1B2*6}}⟧, live mode"),
        ("jwt", "id_token=⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{{c2ln*8}}⟧&state=1"),
        ("private-key", "key: ⟦-----BEGIN PRIVATE KEY-----\n{{MIIEvQ*9}}\n-----END PRIVATE KEY-----⟧"),
        ("bearer", "authorization: Bearer ⟦mF_9.B5f-{{4q7*4}}⟧"),
        ("password", "DB_PASSWORD=⟦tr0ub4dor-{{9z*3}}⟧"),
        ("npm-token", "//registry.npmjs.org/:_authToken=⟦npm_{{a1B2*9}}⟧"),
        ("sendgrid-key", "SG key ⟦SG.{{a1B2c*4}}ab.{{x9Y8*10}}xyz⟧"),
        ("telegram-token", "https://api.telegram.org/bot⟦110201543:AA{{HdqTc*6}}abc⟧/getMe"),
    )
]

CLEAN: list[str] = [
    "order 4111 1111 1111 1112 shipped",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736, span 00f067aa0ba902b7",
    "id 123e4567-e89b-12d3-a456-426614174000 at 2026-01-01T12:00:00.000Z",
    "version 1.22.333.4444 of lodash@4.17.21",
    "DE00 3704 2199 8532 7130 42",
    "the password is stored nowhere, and no token is needed",
    'password = os.environ["DB_PASSWORD"]',
    "api_key: ${API_KEY}",
    "sha512-" + "q1W2" * 20 + "==",
    "took 1767225600019565824 ns",
    "Authorization: Bearer <token>",
    "$5,000.00 on 12/31/2026, page 3 of 17",
]
