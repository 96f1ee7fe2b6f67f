-- Who is at a platform, who is to go there and what it is still working off are found without reading everybody who ever was a member.
CREATE INDEX member_there ON member (shop_id, audience, person_id) WHERE actual <> 'out';
CREATE INDEX member_coming ON member (shop_id, audience, person_id) WHERE wanted AND actual <> 'in';
CREATE INDEX member_asked_about ON member (shop_id, audience, request) WHERE request IS NOT NULL;
