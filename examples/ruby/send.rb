# Sends a mail through jwt-mailer with Ruby's standard library alone.
#
#   JWT_MAILER_URL=http://localhost:8080 JWT_MAILER_SECRET=... ruby send.rb ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN
require 'json'
require 'net/http'
require 'openssl'
require 'securerandom'

# Signs the claims of a mail. The jti makes every try with this token the same mail.
def mint(claims, secret)
  now = Time.now.to_i
  claims = claims.merge(jti: SecureRandom.uuid, iat: now, exp: now + 86_400)
  encode = ->(bytes) { [bytes].pack('m0').tr('+/', '-_').delete('=') }
  signed = "#{encode.('{"alg":"HS256","typ":"JWT"}')}.#{encode.(claims.to_json)}"
  "#{signed}.#{encode.(OpenSSL::HMAC.digest('SHA256', secret, signed))}"
end

# Tries three times where no answer came or the service says "not now". Returns the answer, or nil.
def send_mail(url, kind, token)
  uri = URI("#{url.sub(%r{/+\z}, '')}/emailservice/#{kind}")
  request = Net::HTTP::Post.new(uri, 'Content-Type' => 'application/json')
  request.body = { token: token }.to_json
  answer = nil
  (1..3).each do |try|
    begin
      options = { use_ssl: uri.scheme == 'https', open_timeout: 10, read_timeout: 30, max_retries: 0 }
      answer = Net::HTTP.start(uri.host, uri.port, **options) { |http| http.request(request) }
    rescue SystemCallError, SocketError, Timeout::Error, EOFError, OpenSSL::SSL::SSLError
      answer = nil
    end
    break if answer && answer.code.to_i < 500
    sleep(try) if try < 3
  end
  answer
end


if ARGV.length != 4
  warn "usage: send.rb ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN"
  exit 2
end
claims = %w[user_email user_aut_key email_link_url email_link_token].zip(ARGV).to_h
answer = send_mail(ENV.fetch('JWT_MAILER_URL'), 'confirmation', mint(claims, ENV.fetch('JWT_MAILER_SECRET')))
puts(answer ? answer.body : 'no answer')
exit(answer.is_a?(Net::HTTPSuccess))
